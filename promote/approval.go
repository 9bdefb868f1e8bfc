package promote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// An approval is a parameter beside the pointers of an environment, one for each
// build and identity. Who wrote it is what Parameter Store says, not what stands
// in it: nobody can agree in another's name.

// Approval is somebody's agreement to a build in an environment.
type Approval struct {
	Image       string    `json:"image"`
	AMI         string    `json:"ami"`
	Version     string    `json:"version"`
	Environment string    `json:"environment"`
	By          string    `json:"by"` // ARN
	At          time.Time `json:"at"`
	Note        string    `json:"note"`
	Run         string    `json:"run"` // that made it current one rung below, where the approval named one
}

// Agreed is an approval that was just given, and what the build lacks still.
type Agreed struct {
	Approval
	Lacks string `json:"lacks"` // approvals of others; empty when there are enough
}

// longestNote is how much of a note is kept, in characters: a parameter holds 4
// KB, and a character takes up to 12 bytes of JSON.
const longestNote = 256

// runID is the form of a run's ID.
var runID = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}$`)

// Approve records that the caller agrees to builds in an environment: those of
// one version or fingerprint, of one AMI, or those that a run made current one
// rung below. Approving again changes the note. An approval that nothing in the
// environment waits for is given, too, with a warning.
func (p *Promoter) Approve(ctx context.Context, name, environment, note string) ([]Agreed, error) {
	target, err := p.place(ctx, environment)
	if err != nil {
		return nil, err
	}
	builds, err := p.named(ctx, target, name)
	if err != nil {
		return nil, fmt.Errorf("approve %s for %s: %w", name, environment, err)
	}
	note = string([]rune(note)[:min(len([]rune(note)), longestNote)])
	approvals, run := []Agreed{}, ""
	if runID.MatchString(name) {
		run = name
	}
	for _, b := range builds {
		a := Approval{Image: b.Image, AMI: b.AMI, Version: b.Version, Environment: environment, By: target.cloud.Caller, At: time.Now().UTC().Truncate(time.Second), Note: note, Run: run}
		if err := p.approve(ctx, target, b, a); err != nil {
			err = fmt.Errorf("approve %s: %w", b.Ref(), err)
			if len(approvals) > 0 {
				return approvals, fail.Dirty(err, fail.Left{What: "approvals of other builds for " + environment, Command: "goldline approve " + name + " --env " + environment})
			}
			return approvals, fail.Unchanged(err)
		}
		lacks, err := p.lacksApproval(ctx, target, b)
		if err != nil {
			p.sink.Emit(event.Event{Kind: event.Warning, Message: "whether " + b.Ref().String() + " needs more approvals is not known: " + err.Error()})
		}
		approvals = append(approvals, Agreed{Approval: a, Lacks: lacks})
		event.Scope(p.sink, "", b.Image).Emit(event.Event{Kind: event.Changed, Message: fmt.Sprintf("%s is approved for %s by %s", b.Ref(), environment, a.By)})
	}
	if target.env.Requires == nil || target.env.Requires.Approval == nil {
		p.sink.Emit(event.Event{Kind: event.Warning, Message: environment + " asks for no approval: nothing waits for this one"})
	}
	return approvals, nil
}

// lacksApproval says which approvals a build lacks in an environment.
func (p *Promoter) lacksApproval(ctx context.Context, target *place, b BuildInfo) (string, error) {
	if target.env.Requires == nil || target.env.Requires.Approval == nil {
		return "", nil
	}
	below, err := p.below(ctx, Request{To: target.env.Name, SkipLadder: true, Build: b.AMI})
	if err != nil {
		return "", err
	}
	g := &gates{promoter: p, target: target, below: below, build: b}
	if below != nil {
		if g.there, g.isThere, err = below.stock.counterpart(ctx, b); err != nil {
			return "", err
		}
	}
	if err := g.approved(ctx, target.env.Requires.Approval); err != nil || len(g.unmet) == 0 {
		return "", err
	}
	return g.unmet[0].Why, nil
}

// named gives the builds that are to be agreed to.
func (p *Promoter) named(ctx context.Context, target *place, name string) ([]BuildInfo, error) {
	below, err := p.below(ctx, Request{To: target.env.Name, SkipLadder: true, Build: name})
	if err != nil {
		return nil, err
	}
	if runID.MatchString(name) {
		return p.madeCurrent(ctx, below, name)
	}
	var found []BuildInfo
	for _, image := range p.project.ImageNames() {
		b, err := p.locate(ctx, target, below, image, name)
		switch {
		case err == nil:
			found = append(found, b)
		case !elsewhere(err):
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, fail.WithHint(fail.Inputf("no build has the AMI, version or fingerprint %q", name), "goldline images list shows them all; a run is named by its ID, as `goldline run` prints it")
	}
	return found, nil
}

// madeCurrent are the builds that a run made current in an environment.
func (p *Promoter) madeCurrent(ctx context.Context, in *place, run string) ([]BuildInfo, error) {
	if in == nil {
		return nil, fail.WithHint(fail.Inputf("no environment is one rung below, in which run %s could have made builds current", run), "name the build")
	}
	var found []BuildInfo
	for _, image := range p.project.ImageNames() {
		entries, err := p.entries(ctx, in, image)
		if err != nil {
			return nil, err
		}
		for i := len(entries) - 1; i >= 0; i-- {
			if entries[i].Run == run {
				b, err := p.find(ctx, in, image, entries[i].AMI)
				if err != nil {
					return nil, err
				}
				found = append(found, b)
				break
			}
		}
	}
	if len(found) == 0 {
		return nil, fail.WithHint(fail.Inputf("run %s made no build current in %s", run, in.env.Name), "a build that was current there before is named itself; goldline images history --env %s shows which runs made which current", in.env.Name)
	}
	return found, nil
}

// approve writes one approval. It may be written again: it is the same then.
func (p *Promoter) approve(ctx context.Context, target *place, b BuildInfo, a Approval) error {
	value, err := json.Marshal(a)
	if err != nil {
		return err
	}
	in := &ssm.PutParameterInput{
		Name: aws.String(tags.Approvals(target.name, target.env.Name, b.key()) + token(a.By)), Value: aws.String(string(value)),
		Type: types.ParameterTypeString, Overwrite: aws.Bool(false), Tags: p.parameterTags(target, b.Image),
	}
	_, err = target.cloud.SSM.PutParameter(ctx, in)
	if cloud.AlreadyExists(err) { // tags are taken only by the call that makes it
		in.Overwrite, in.Tags = aws.Bool(true), nil
		_, err = target.cloud.SSM.PutParameter(ctx, in)
	}
	return err
}

// key names a build in all accounts and regions.
func (b BuildInfo) key() string {
	return token(b.Image, b.Version, b.Fingerprint, b.tag(tags.Run))
}

// approvals reads who agreed to a build.
func (p *Promoter) approvals(ctx context.Context, in *place, b BuildInfo) ([]Approval, error) {
	path := tags.Approvals(in.name, in.env.Name, b.key())
	var all []Approval
	pages := ssm.NewGetParametersByPathPaginator(in.cloud.SSM, &ssm.GetParametersByPathInput{Path: aws.String(strings.TrimSuffix(path, "/"))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the approvals of %s: %w", b.Ref(), err)
		}
		for _, v := range page.Parameters {
			a, err := p.approval(ctx, in, aws.ToString(v.Name))
			if err != nil {
				return nil, fmt.Errorf("read the approvals of %s: %w", b.Ref(), err)
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// approval reads one approval, with who wrote it last.
func (p *Promoter) approval(ctx context.Context, in *place, name string) (Approval, error) {
	var a Approval
	pages := ssm.NewGetParameterHistoryPaginator(in.cloud.SSM, &ssm.GetParameterHistoryInput{Name: aws.String(name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return a, err
		}
		for _, v := range page.Parameters { // the oldest first
			if err := json.Unmarshal([]byte(aws.ToString(v.Value)), &a); err != nil {
				return a, errors.New(name + " holds no approval")
			}
			a.By, a.At = aws.ToString(v.LastModifiedUser), aws.ToTime(v.LastModifiedDate)
		}
	}
	return a, nil
}

// approved wants people to have agreed to a build.
func (g *gates) approved(ctx context.Context, rule *project.Approval) error {
	all, err := g.promoter.approvals(ctx, g.target, g.build)
	if err != nil {
		return err
	}
	promoter := ""
	if rule.NotPromoter && g.below != nil {
		if promoter, err = g.promotedBy(ctx); err != nil {
			return err
		}
	}
	var by, others []string
	for _, a := range all {
		switch {
		case len(rule.By) > 0 && !slices.ContainsFunc(rule.By, func(pattern string) bool { return identityMatches(pattern, a.By) }):
			others = append(others, a.By+" may not")
		case promoter != "" && a.By == promoter:
			others = append(others, a.By+" made it current in "+g.below.env.Name)
		case !slices.Contains(by, a.By):
			by = append(by, a.By)
		}
	}
	if len(by) >= rule.Needed() {
		return nil
	}
	who := ""
	if len(rule.By) > 0 {
		who = " of " + strings.Join(rule.By, ", ")
	}
	why := fmt.Sprintf("has %d of %d approvals%s", len(by), rule.Needed(), who)
	if len(others) > 0 {
		why += "; these do not count: " + strings.Join(others, ", ")
	}
	g.lacks(GateApproval, fmt.Sprintf("goldline approve %s --env %s --note \"...\"", g.build.AMI, g.target.env.Name), "%s", why)
	return nil
}

// promotedBy is who made the build current one rung below, the last time.
func (g *gates) promotedBy(ctx context.Context) (string, error) {
	entries, err := g.promoter.entries(ctx, g.below, g.build.Image)
	for i := len(entries) - 1; i >= 0; i-- {
		if g.there.has(entries[i].AMI) {
			return entries[i].By, err
		}
	}
	return "", err
}

// identityMatches tells whether a pattern means an identity: its whole ARN where
// the pattern has a colon, and otherwise the name of the user, role or session.
func identityMatches(pattern, arn string) bool {
	expression := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
	is := regexp.MustCompile("^" + expression + "$") // it is quoted, so it compiles
	if strings.Contains(pattern, ":") {
		return is.MatchString(arn)
	}
	last := arn[strings.LastIndex(arn, ":")+1:]
	_, path, of := strings.Cut(last, "/")
	if !of {
		path = last // an account's root user
	}
	parts := strings.Split(path, "/")
	if !strings.Contains(arn, ":assumed-role/") {
		parts = parts[len(parts)-1:] // what comes before is IAM's path
	}
	return slices.ContainsFunc(parts, is.MatchString)
}
