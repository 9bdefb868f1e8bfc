package emulator

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// elbService holds the tables of Elastic Load Balancing, version 2, and carries
// out its actions. Where instances run on machines it follows the health of
// targets, and traffic carries what clients send to them.
type elbService struct {
	cloud   *Cloud
	probing atomic.Bool // the prober runs
	traffic *elbTraffic

	tags      *table[map[string]string] // by ARN
	balancers *table[balancerRow]
	groups    *table[targetGroupRow]
	targets   *table[targetRow]
	listeners *table[listenerRow]
	rules     *table[listenerRuleRow]
}

const elbName = "elasticloadbalancing" // the signing name

// newELB adds the tables and the actions. It is called before the store is
// loaded, after newEC2.
func newELB(c *Cloud) *elbService {
	s := &elbService{
		cloud:     c,
		tags:      newTable[map[string]string](c.store, "elb-tags"),
		balancers: newTable[balancerRow](c.store, "elb-load-balancers"),
		groups:    newTable[targetGroupRow](c.store, "elb-target-groups"),
		targets:   newTable[targetRow](c.store, "elb-targets"),
		listeners: newTable[listenerRow](c.store, "elb-listeners"),
		rules:     newTable[listenerRuleRow](c.store, "elb-rules"),
	}
	s.traffic = newTraffic(s)
	s.addBalancers()
	s.addTargetGroups()
	s.addTargets()
	s.addListeners()
	s.addRules()
	s.addCertificates()
	elbOn(s, "AddTags", "ResourceArns Tags.*", s.addTags)
	elbOn(s, "RemoveTags", "ResourceArns TagKeys", s.removeTags)
	elbOn(s, "DescribeTags", "ResourceArns", s.describeTags)
	inventory(c, "load-balancer", s.balancers, func(r balancerRow) (string, bool) { return r.name(), true })
	inventory(c, "target-group", s.groups, func(r targetGroupRow) (string, bool) { return *r.Group.TargetGroupName, true })
	inventory(c, "target", s.targets, func(r targetRow) (string, bool) {
		name, _, _ := strings.Cut(pathOf(r.Group), "/")
		return fmt.Sprintf("%s %s %d", name, r.Instance, r.Port), true
	})
	inventory(c, "listener", s.listeners, func(r listenerRow) (string, bool) {
		return fmt.Sprintf("%s %d", r.Listener.Protocol, *r.Listener.Port), true
	})
	inventory(c, "listener-rule", s.rules, func(r listenerRuleRow) (string, bool) { return *r.Rule.Priority, true })
	return s
}

// elbOn adds an action, as on does for EC2.
func elbOn[I, O any](s *elbService, action, honours string, f func(apiCall, *I) (*O, error)) {
	offer(s.cloud.ec2, elbName, action, honours, f)
}

// later is how long a change of state takes.
func (s *elbService) later() time.Duration { return s.cloud.options.Transition }

var elbNameForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?$`)

// checkELBName refuses names that Elastic Load Balancing refuses.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
func checkELBName(what, name string) error {
	if !elbNameForm.MatchString(name) || strings.HasPrefix(name, "internal-") {
		return refuse("ValidationError", "The %s name '%s' must have 1 to 32 letters, digits or dashes, and neither begin nor end with a dash nor begin with internal-", what, name)
	}
	return nil
}

func elbARN(c apiCall, path string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:%s/%s", c.Region, c.Account, path, hex.EncodeToString(b[:]))
}

// pathOf is the part of an ARN that what belongs to the thing is named by.
func pathOf(arn string) string { return arn[strings.IndexByte(arn, '/')+1:] }

func (s *elbService) setTags(w world, arn string, add []types.Tag) error {
	old, _ := s.tags.get(w, arn)
	set := map[string]string{}
	for k, v := range old {
		set[k] = v
	}
	for _, t := range add {
		key := deref(t.Key)
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return refuse("ValidationError", "Tag keys starting with 'aws:' are reserved for internal use")
		}
		if why := outOfForm(key, deref(t.Value)); why != "" {
			return refuse("ValidationError", "%s", why)
		}
		set[key] = deref(t.Value)
	}
	if len(set) > maxTags {
		return refuse("TooManyTags", "A resource has at most %d tags", maxTags)
	}
	if len(set) > 0 {
		s.tags.put(w, arn, set)
	}
	return nil
}

// exists refuses the ARN of something that is not there, in its own words.
func (s *elbService) exists(w world, arn string) error {
	switch {
	case has(s.balancers, w, arn), has(s.groups, w, arn), has(s.listeners, w, arn), has(s.rules, w, arn):
		return nil
	case strings.Contains(arn, ":targetgroup/"):
		return refuse("TargetGroupNotFound", "Target groups '[%s]' not found", arn)
	case strings.Contains(arn, ":listener/"):
		return refuse("ListenerNotFound", "Listeners '[%s]' not found", arn)
	case strings.Contains(arn, ":listener-rule/"):
		return refuse("RuleNotFound", "Rules '[%s]' not found", arn)
	case strings.Contains(arn, ":loadbalancer/"):
		return refuse("LoadBalancerNotFound", "Load balancers '[%s]' not found", arn)
	}
	return refuse("ValidationError", "'%s' is not a valid ARN", arn)
}

func (s *elbService) addTags(c apiCall, in *elb.AddTagsInput) (*elb.AddTagsOutput, error) {
	for _, arn := range in.ResourceArns {
		if err := firstError(s.exists(c.w, arn), s.setTags(c.w, arn, in.Tags)); err != nil {
			return nil, err
		}
	}
	return &elb.AddTagsOutput{}, nil
}

func (s *elbService) removeTags(c apiCall, in *elb.RemoveTagsInput) (*elb.RemoveTagsOutput, error) {
	for _, arn := range in.ResourceArns {
		if err := s.exists(c.w, arn); err != nil {
			return nil, err
		}
		old, _ := s.tags.get(c.w, arn)
		set := map[string]string{}
		for k, v := range old {
			set[k] = v
		}
		for _, key := range in.TagKeys {
			delete(set, key)
		}
		s.tags.put(c.w, arn, set)
	}
	return &elb.RemoveTagsOutput{}, nil
}

// maxTagARNs is how many resources one DescribeTags takes.
const maxTagARNs = 20

func (s *elbService) describeTags(c apiCall, in *elb.DescribeTagsInput) (*elb.DescribeTagsOutput, error) {
	if len(in.ResourceArns) > maxTagARNs {
		return nil, refuse("ValidationError", "1 validation error detected: Value at 'resourceArns' failed to satisfy constraint: Member must have length less than or equal to %d", maxTagARNs)
	}
	out := &elb.DescribeTagsOutput{}
	for _, arn := range in.ResourceArns {
		if err := s.exists(c.w, arn); err != nil {
			return nil, err
		}
		set, _ := s.tags.get(c.w, arn)
		d := types.TagDescription{ResourceArn: new(arn), Tags: []types.Tag{}}
		for _, key := range sortedKeys(set) {
			d.Tags = append(d.Tags, types.Tag{Key: new(key), Value: new(set[key])})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}
