package launch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
)

type recordAPI interface {
	ChangeResourceRecordSets(context.Context, *route53.ChangeResourceRecordSetsInput, ...func(*route53.Options)) (*route53.ChangeResourceRecordSetsOutput, error)
	dnsListAPI
}

// recordChange is what is to be done about one record and its marker.
type recordChange struct {
	// first are the changes by what the plan saw.
	first []types.Change
	// again are those that are still needed, by what is there now.
	again func(now zoneRecords) ([]types.Change, error)
}

// zoneChanges sends the changes of a zone's records: those that are asked for at
// the same time in one call, and one call at a time, since Route 53 refuses
// another while it works at one. What comes meanwhile goes along with the next.
type zoneChanges struct {
	zone string
	turn chan struct{} // holds a token: whoever has it may call

	mu   sync.Mutex
	open *zoneBatch
}

type zoneBatch struct {
	asked []recordChange
	errs  []error // of each; set when done is closed
	done  chan struct{}
}

func newZoneChanges(zone string) *zoneChanges {
	z := &zoneChanges{zone: zone, turn: make(chan struct{}, 1)}
	z.turn <- struct{}{}
	return z
}

// do carries a change out, together with what else is asked for. It starts no
// goroutine: who comes first waits a moment for others and calls for all.
func (z *zoneChanges) do(ctx context.Context, c *cloud.Cloud, ch recordChange) error {
	z.mu.Lock()
	first := z.open == nil
	if first {
		z.open = &zoneBatch{done: make(chan struct{})}
	}
	b, at := z.open, len(z.open.asked)
	b.asked = append(b.asked, ch)
	z.mu.Unlock()
	if first {
		z.lead(ctx, c, b)
	} else {
		select {
		case <-b.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return b.errs[at]
}

func (z *zoneChanges) lead(ctx context.Context, c *cloud.Cloud, b *zoneBatch) {
	defer close(b.done)
	err := cloud.Sleep(ctx, c.Pace()/4)
	if err == nil {
		select {
		case <-z.turn:
			defer func() { z.turn <- struct{}{} }()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	z.mu.Lock()
	z.open = nil
	z.mu.Unlock()
	b.errs = make([]error, len(b.asked))
	var all []int
	for i := range b.asked {
		all, b.errs[i] = append(all, i), err
	}
	if err == nil {
		s := &zoneSender{zone: z.zone, api: c.Route53, pace: c.Pace(), batch: b}
		s.send(ctx, all, func(i int) []types.Change { return b.asked[i].first })
	}
}

// zoneSender is a batch on its way.
type zoneSender struct {
	zone  string
	api   recordAPI
	pace  time.Duration
	batch *zoneBatch
	tries int
}

// Limits of a call, in which an UPSERT counts twice.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
const (
	maxRecordsACall = 1000
	maxTextACall    = 32_000
)

// weight is how much a change counts.
func weight(list []types.Change) (records, text int) {
	for _, ch := range list {
		times := 1
		if ch.Action == types.ChangeActionUpsert {
			times = 2
		}
		records += times * max(1, len(ch.ResourceRecordSet.ResourceRecords))
		for _, r := range ch.ResourceRecordSet.ResourceRecords {
			text += times * len(aws.ToString(r.Value))
		}
	}
	return records, text
}

// send carries out the changes of some of the batch, in as few calls as they fit
// into.
func (s *zoneSender) send(ctx context.Context, some []int, changes func(int) []types.Change) {
	var members []int
	var call []types.Change
	records, text := 0, 0
	flush := func() {
		if len(members) > 0 {
			s.call(ctx, members, call)
		}
		members, call, records, text = nil, nil, 0, 0
	}
	for _, i := range some {
		list := changes(i)
		r, n := weight(list)
		if records+r > maxRecordsACall || text+n > maxTextACall {
			flush()
		}
		members, call, records, text = append(members, i), append(call, list...), records+r, text+n
	}
	flush()
}

// maxTries bounds how often a call without an answer is made again.
const maxTries = 4

func (s *zoneSender) call(ctx context.Context, members []int, changes []types.Change) {
	_, err := s.api.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: aws.String(s.zone), ChangeBatch: &types.ChangeBatch{Changes: changes}})
	refused := cloud.Code(err) == "InvalidChangeBatch"
	if err == nil || !refused && !cloud.Ambiguous(err) || ctx.Err() != nil {
		s.set(members, err)
		return
	}
	s.tries++
	if !refused && s.tries > maxTries {
		s.set(members, err)
		return
	}
	s.look(ctx, members, err, refused)
}

func (s *zoneSender) set(members []int, err error) {
	for _, i := range members {
		s.batch.errs[i] = err
	}
}

// look asks what is there after a call that was refused or had no answer, and
// does what is still to be done. Route 53 refuses all for one, so what it refuses
// again goes out in halves, until the one that is wrong is alone.
func (s *zoneSender) look(ctx context.Context, members []int, cause error, refused bool) {
	if err := cloud.Sleep(ctx, s.pace/4); err != nil {
		s.set(members, err)
		return
	}
	list, err := listRecords(ctx, s.api, s.zone)
	if err != nil {
		s.set(members, fail.Join(cause, err))
		return
	}
	now := newZoneRecords(s.zone, list)
	left := map[int][]types.Change{}
	var rest []int
	for _, i := range members {
		changes, err := s.batch.asked[i].again(now)
		s.batch.errs[i] = err
		if err == nil && len(changes) > 0 {
			left[i], rest = changes, append(rest, i)
		}
	}
	again := func(i int) []types.Change { return left[i] }
	switch {
	case len(rest) == 0:
	case !refused || len(rest) < len(members):
		s.send(ctx, rest, again)
	case len(rest) == 1 && slices.EqualFunc(left[rest[0]], s.batch.asked[rest[0]].first, sameChange):
		s.set(rest, cause)
	case len(rest) == 1:
		s.batch.asked[rest[0]].first = left[rest[0]]
		s.send(ctx, rest, again)
	default:
		s.send(ctx, rest[:len(rest)/2], again)
		s.send(ctx, rest[len(rest)/2:], again)
	}
}

func sameChange(a, b types.Change) bool {
	return a.Action == b.Action && keyOf(*a.ResourceRecordSet) == keyOf(*b.ResourceRecordSet)
}

// zoneRecords are a zone's records as they are now.
type zoneRecords struct {
	zone   string
	sets   map[recordKey]types.ResourceRecordSet
	owners map[recordKey]*owner
}

func newZoneRecords(zone string, list []types.ResourceRecordSet) zoneRecords {
	z := zoneRecords{zone, map[recordKey]types.ResourceRecordSet{}, ownersOf(list)}
	for _, set := range list {
		z.sets[keyOf(set)] = set
	}
	return z
}

// put are the changes that make a record what it should be. One that Goldline
// did not make is changed only where a definition adopts it.
func (z zoneRecords) put(w *world, set, marker types.ResourceRecordSet, adopted bool) ([]types.Change, error) {
	k := keyOf(set)
	have, exists := z.sets[k]
	mine := w.owns(z.owners[k])
	switch {
	case exists && !mine && !adopted:
		return nil, fmt.Errorf("%s is there already in zone %s, and Goldline did not make it", k, z.zone)
	case exists && sameSet(have, set):
		return nil, nil
	case exists:
		return []types.Change{{Action: types.ChangeActionUpsert, ResourceRecordSet: &set}}, nil
	case adopted:
		return nil, fmt.Errorf("%s, which is adopted, is not in zone %s any more", k, z.zone)
	}
	return []types.Change{{Action: types.ChangeActionCreate, ResourceRecordSet: &set}, {Action: types.ChangeActionUpsert, ResourceRecordSet: &marker}}, nil
}

// take are the changes that remove a record with its marker. What has no marker
// of the environment any more is somebody else's by now, unless force takes it.
func (z zoneRecords) take(w *world, k recordKey, force bool) []types.Change {
	var list []types.Change
	have, exists := z.sets[k]
	marker, marked := z.sets[markerOf(k)]
	if marked {
		o, ok := readMarker(marker)
		marked = ok && w.owns(&o)
	}
	if exists && (marked || force) {
		list = append(list, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &have})
	}
	if marked {
		list = append(list, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &marker})
	}
	return list
}

// sameSet tells whether two record sets answer the same.
func sameSet(a, b types.ResourceRecordSet) bool {
	return slices.Equal(valuesOf(a), valuesOf(b)) && aws.ToInt64(a.TTL) == aws.ToInt64(b.TTL) && aws.ToInt64(a.Weight) == aws.ToInt64(b.Weight) &&
		aliasText(a.AliasTarget) == aliasText(b.AliasTarget)
}
