package pipelines

import "slices"

// Resume says how a run that ended, or was killed, before its last stage is gone
// on with: the stages to run, in their order, and the AMI of each image that its
// bakes made and its promotions moved. No stage is what a run through all of them
// leaves.
//
// Stages that succeeded are left out, but for those of an environment that the
// run has not passed: it may have been put back since, by the run itself or by
// another. Gone on there from the launch alone, the run would launch and check
// whatever is current and call that its success.
func (r Result) Resume() (stages []string, builds map[string]string) {
	builds = map[string]string{}
	for image, ami := range r.Builds {
		builds[image] = ami
	}
	for _, s := range r.Stages {
		if s.State != StateSucceeded || s.again() && !r.passed(s.Environment) {
			stages = append(stages, s.Name)
		}
		if s.State != StateSucceeded || s.Kind != KindBake && s.Kind != KindPromote {
			continue
		}
		for _, item := range s.Items {
			if item.AMI != "" {
				builds[item.Item] = item.AMI // the last one stands: it is the highest rung
			}
		}
	}
	return stages, builds
}

// again tells whether a stage that succeeded may be run once more: where nothing
// has changed since, it finds all done.
func (s StageResult) again() bool {
	return s.Environment != "" && slices.Contains([]string{KindPromote, KindLaunch, KindCheck}, s.Kind)
}

// passed tells whether the run went through all of its stages in an environment.
func (r Result) passed(environment string) bool {
	return !slices.ContainsFunc(r.Stages, func(s StageResult) bool {
		return s.again() && s.Environment == environment && s.State != StateSucceeded
	})
}
