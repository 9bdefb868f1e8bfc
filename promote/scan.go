package promote

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Scan is what a scan of a build found.
type Scan struct {
	Image    string         `json:"image"`
	Version  string         `json:"version"`
	AMIs     []string       `json:"amis"` // the build and its copies
	Severity string         `json:"severity"`
	Found    map[string]int `json:"found"` // by severity
	At       time.Time      `json:"at"`
}

// Scanned records on a build, with its copies in all accounts and regions that
// the caller gets into, what a scan found. Recording again replaces it.
func (p *Promoter) Scanned(ctx context.Context, ami string, found map[string]int) (Scan, error) {
	s := Scan{Severity: "none", AMIs: []string{}, Found: found, At: time.Now().UTC().Truncate(time.Second)}
	for severity, n := range found {
		if n > 0 && rank(severity) > rank(s.Severity) {
			s.Severity = severity
		}
	}
	places, err := p.reachable(ctx)
	if err != nil {
		return s, err
	}
	b, err := p.anywhere(ctx, places, ami)
	if err != nil {
		return s, fmt.Errorf("scan: %w", err)
	}
	s.Image, s.Version = b.Image, b.Version
	err = p.eachAMI(ctx, places, b, func(in *stock, there BuildInfo) error {
		_, err := in.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: there.ids(), Tags: cloud.Tags(map[string]string{tags.Scanned: s.text()})})
		s.AMIs = withAll(s.AMIs, there.ids())
		in.forget()
		return err
	})
	if err != nil {
		return s, fail.Dirty(fmt.Errorf("record the scan of %s: %w", ami, err), fail.Left{What: "AMIs of " + b.Ref().String() + " without what the scan found", Command: "goldline images scan " + ami + " --findings FILE"})
	}
	event.Scope(p.sink, "", b.Image).Emit(event.Event{Kind: event.Changed, Message: fmt.Sprintf("%s: the scan found at worst %s", b.Ref(), s.Severity), Fields: map[string]string{"ami": b.AMI}})
	return s, nil
}

// text is a scan as a tag's value: the worst severity, then how many there are.
func (s Scan) text() string {
	var parts []string
	for i := len(severities) - 1; i > 0; i-- {
		if n := s.Found[severities[i]]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, severities[i]))
		}
	}
	return strings.TrimSpace(s.Severity + " at " + s.At.Format(time.RFC3339) + " " + strings.Join(parts, ", "))
}
