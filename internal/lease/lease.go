// Package lease makes sure that one run at a time changes an environment,
// whatever machine it is on. It needs nothing but Parameter Store, where the
// environment's pointers lie already.
//
// A lease is a row of generations: /goldline/<project>/<environment>/lease/<n>.
// Who wants it creates the next generation, which Parameter Store lets only one
// do, and says so in it again and again. The highest generation is the lease; it
// is never deleted, and never taken away from under who holds it: one whose
// holder has fallen silent is superseded by the next generation.
//
// Clocks of different machines are not compared. Who waits for a silent holder
// watches it for as long as a lease lasts; who holds a lease and cannot say so
// for that long stops by itself, by its own clock. The package changes nothing
// else, and decides nothing about what is done under a lease.
package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// lasts is how long a lease is good for after its holder last said so: long
// enough for an API that fails for a minute, short enough to wait for after a
// runner has vanished.
const lasts = 2 * time.Minute

// Record is what a generation says.
type Record struct {
	Generation int64     `json:"generation"`
	Owner      string    `json:"owner"` // ARN of the caller
	Host       string    `json:"host"`
	Run        string    `json:"run"`
	Command    string    `json:"command"`
	Since      time.Time `json:"since"`
	Released   bool      `json:"released"`
	// Expires is when the lease ends unless its holder says otherwise, by the
	// clock of Parameter Store.
	Expires time.Time `json:"expires"`

	version int64 // of the parameter: it grows with every sign of life
}

// Free tells whether nobody holds the lease.
func (r Record) Free() bool { return r.Released || r.Generation == 0 }

// String names the holder.
func (r Record) String() string {
	return fmt.Sprintf("run %s (%s) of %s on %s, since %s", r.Run, r.Command, r.Owner, r.Host, r.Since.Local().Format("2006-01-02 15:04:05"))
}

// store is where an environment's lease is kept.
type store struct {
	cloud                *cloud.Cloud
	project, environment string
	lasts                time.Duration
}

func (s store) path() string { return tags.Pointers(s.project, s.environment) + "lease" }

func (s store) name(generation int64) string {
	return s.path() + "/" + strconv.FormatInt(generation, 10)
}

// generations reads all generations that are kept, the highest last.
func (s store) generations(ctx context.Context) ([]Record, error) {
	var all []Record
	pages := ssm.NewGetParametersByPathPaginator(s.cloud.SSM, &ssm.GetParametersByPathInput{Path: aws.String(s.path())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the lease of %s: %w", s.environment, err)
		}
		for _, p := range page.Parameters {
			if r, ok := s.record(p); ok {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b Record) int { return int(a.Generation - b.Generation) })
	return all, nil
}

// record reads a parameter. What is not a lease's own is nobody's generation.
func (s store) record(p types.Parameter) (Record, bool) {
	generation, err := strconv.ParseInt(strings.TrimPrefix(aws.ToString(p.Name), s.path()+"/"), 10, 64)
	if err != nil || generation < 1 {
		return Record{}, false
	}
	var r Record
	if json.Unmarshal([]byte(aws.ToString(p.Value)), &r) != nil {
		r = Record{Command: "unknown"} // held all the same: whoever wrote it may be at work
	}
	r.Generation, r.version = generation, p.Version
	r.Expires = aws.ToTime(p.LastModifiedDate).Add(s.lasts)
	return r, true
}

func newest(all []Record) Record {
	if len(all) == 0 {
		return Record{}
	}
	return all[len(all)-1]
}

// put writes a generation: a new one, or the caller's own again.
func (s store) put(ctx context.Context, r Record, fresh bool) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	in := &ssm.PutParameterInput{
		Name: aws.String(s.name(r.Generation)), Value: aws.String(string(value)), Type: types.ParameterTypeString, Overwrite: aws.Bool(!fresh),
	}
	if fresh { // tags are taken only by the call that makes it
		in.Tags = []types.Tag{{Key: aws.String(tags.Project), Value: aws.String(s.project)}, {Key: aws.String(tags.Environment), Value: aws.String(s.environment)}}
	}
	_, err = s.cloud.SSM.PutParameter(ctx, in)
	return err
}

// create makes a new generation. It is false where another has just made it.
func (s store) create(ctx context.Context, r Record) (bool, error) {
	made, err := cloud.Once(ctx, s.cloud, func(ctx context.Context) (bool, bool, error) {
		all, err := s.generations(ctx)
		for _, there := range all {
			if there.Generation == r.Generation {
				return there.same(r), true, nil
			}
		}
		return false, false, err
	}, func(ctx context.Context) (bool, error) {
		err := s.put(ctx, r, true)
		return err == nil, err
	})
	if cloud.AlreadyExists(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take the lease of %s: %w", s.environment, err)
	}
	return made, nil
}

// same tells whether a generation is the one that this run wrote.
func (r Record) same(other Record) bool {
	return r.Run == other.Run && r.Host == other.Host && r.Since.Equal(other.Since)
}

// keep is how many generations stay, and for how long those beyond them: what
// is read later than that shows who made the newest.
const (
	keep    = 5
	keepFor = 10 * time.Minute
)

// prune deletes generations that nobody can hold any more. That some of them
// stay does no harm, so it does not fail.
func (s store) prune(ctx context.Context, all []Record, before time.Time) {
	var names []string
	for _, r := range all[:max(0, len(all)-keep)] {
		if r.Released && r.Expires.Before(before) || r.Expires.Before(before.Add(-24*time.Hour)) {
			names = append(names, s.name(r.Generation))
		}
	}
	if len(names) > 0 {
		_, _ = s.cloud.SSM.DeleteParameters(ctx, &ssm.DeleteParametersInput{Names: names[:min(len(names), 10)]})
	}
}

// Show reads who holds an environment's lease, or held it last.
func Show(ctx context.Context, c *cloud.Cloud, project, environment string) (Record, error) {
	all, err := store{c, project, environment, lasts}.generations(ctx)
	return newest(all), err
}

// Release takes a lease from whoever holds it: it is superseded by a generation
// that nobody holds. The holder notices within half a minute, and stops.
func Release(ctx context.Context, c *cloud.Cloud, project, environment, run, command string) (Record, error) {
	s := store{c, project, environment, lasts}
	all, err := s.generations(ctx)
	held := newest(all)
	if err != nil || held.Free() {
		return held, err
	}
	made, err := s.create(ctx, Record{Generation: held.Generation + 1, Owner: c.Caller, Host: host(), Run: run, Command: command, Since: time.Now().UTC(), Released: true})
	if err == nil && !made {
		err = errors.New("another run has taken the lease in this moment")
	}
	return held, err
}

func host() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
