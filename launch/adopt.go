package launch

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// A definition with `adopt` is tied to a resource that something else made. The
// resource stays that other's: it gets none of Goldline's tags, it is found by
// what `adopt` says each time, only what the definition states is compared and
// changed, and it is neither replaced nor deleted.

// readAdopted finds what the definitions adopt. The inventory has been read:
// what it holds may own what is adopted.
func (w *world) readAdopted(ctx context.Context) error {
	list, err := w.listAdopted(ctx)
	if err != nil {
		return err
	}
	return w.settleAdopted(list)
}

// adoption is what definitions of a kind may adopt.
type adoption struct {
	definitions []*project.Resource
	list        []*found
}

// listAdopted lists what the definitions may adopt, by kind.
func (w *world) listAdopted(ctx context.Context) (map[string]*adoption, error) {
	all := map[string]*adoption{}
	for _, r := range w.resources() {
		if r.Adopt == nil {
			continue
		}
		if all[r.Kind] == nil {
			all[r.Kind] = &adoption{}
		}
		all[r.Kind].definitions = append(all[r.Kind].definitions, r)
	}
	names, kinds := union(all), kindsByName()
	return all, graph.Each(ctx, 0, len(names), func(ctx context.Context, i int) error {
		k, ok := kinds[names[i]]
		if !ok {
			return nil
		}
		var err error
		all[names[i]].list, err = w.adoptable(ctx, k, all[names[i]].definitions)
		return err
	})
}

// settleAdopted ties definitions to what they adopt, owners first. Nothing (but
// for a destruction), several candidates, or a resource that two definitions want
// are reported all at once.
func (w *world) settleAdopted(all map[string]*adoption) error {
	w.adopted = map[string]*found{}
	var problems diag.List
	for _, name := range ownersFirst(union(all)) {
		w.match(all[name].definitions, all[name].list, &problems)
	}
	return problems.Err()
}

// adoptable lists what the definitions of a kind may mean, in one call where
// the kind asks nothing beyond it.
func (w *world) adoptable(ctx context.Context, k kind, definitions []*project.Resource) ([]*found, error) {
	q := query{cloud: w.Cloud, world: w, memo: &memo{}, shared: w.reading, filters: narrowed(k, definitions), adopting: definitions}
	list, err := k.list(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("describe every %s to adopt: %w", k.definition().Name, err)
	}
	return list, nil
}

// narrowed filters as far as one call can for all definitions.
func narrowed(k kind, definitions []*project.Resource) []types.Filter {
	if len(definitions) == 1 {
		a := definitions[0].Adopt
		var filters []types.Filter
		for _, key := range tags.Keys(a.Tags) {
			filters = append(filters, cloud.Filter("tag:"+key, a.Tags[key]))
		}
		if name, ok := a.Keys["name"]; ok && !hasAttribute(k, "name") {
			filters = append(filters, cloud.Filter("tag:"+tags.Name, name))
		}
		return filters
	}
	var names []string
	for _, r := range definitions {
		name, ok := r.Adopt.Keys["name"]
		if !ok || hasAttribute(k, "name") || len(names) == maxFilterValues {
			return nil
		}
		names = append(names, name)
	}
	return []types.Filter{cloud.Filter("tag:"+tags.Name, names...)}
}

// maxFilterValues is how many values EC2 takes in a filter.
const maxFilterValues = 200

func hasAttribute(k kind, name string) bool { return has(k.definition().Attributes, name) }

// match ties every definition to its resource.
func (w *world) match(definitions []*project.Resource, list []*found, problems *diag.List) {
	first := map[string]*project.Resource{}
	index := newAdoptIndex(list)
	for _, r := range definitions {
		candidates, missing := w.candidates(r, index)
		switch {
		case len(candidates) == 0 && w.destroying:
		case missing != nil:
			w.ownerless(r, *missing, problems)
		case len(candidates) == 0:
			problems.AddHint(r.At("adopt"), "what is adopted must exist; without adopt it is made", "%s: no %s in %s is what adopt describes", r.Address, r.Kind, w.region)
		case len(candidates) > 1:
			problems.AddHint(r.At("adopt"), "say more, so that one of them is left", "%s: adopt describes %d resources: %s", r.Address, len(candidates), listed(candidates))
		case first[candidates[0].id] != nil:
			other := first[candidates[0].id]
			problems.Addf(r.At("adopt"), "%s and %s adopt the same resource, %s: the first stands at %s", other.Address, r.Address, candidates[0].id, other.At("adopt"))
		default:
			first[candidates[0].id] = r
			w.adopted[r.UUID] = candidates[0]
			w.book.settle(r, candidates[0].id)
		}
	}
}

// candidates are what a definition may adopt; missing is an owner that some would
// have to belong to and that is not there.
func (w *world) candidates(r *project.Resource, index *adoptIndex) (list []*found, missing *project.Ref) {
	described := index.find(r.Adopt)
	if len(described) == 0 {
		return nil, nil
	}
	owners, missing := w.ownersThere(r)
	if missing != nil {
		return nil, missing
	}
	for _, f := range described {
		if belongsTo(f, owners) {
			list = append(list, f)
		}
	}
	return list, nil
}

// maxListed is how many resources a message names.
const maxListed = 8

// listed names resources for people, by ID and name, not more than a message
// holds.
func listed(list []*found) string {
	var names []string
	for _, f := range list {
		name := f.id
		if n := f.tags[tags.Name]; n != "" {
			name += " (" + n + ")"
		}
		names = append(names, name)
	}
	sort.Strings(names)
	if more := len(names) - maxListed; more > 0 {
		names = append(names[:maxListed], fmt.Sprintf("%d others", more))
	}
	return strings.Join(names, ", ")
}

// leaves tells whether a field is none of the definition's business: it adopts
// and does not state it.
func (w want[S]) leaves(path string) bool { return w.Adopt != nil && !w.States(path) }

// ofDefinition leaves only what the definition states of what differs: the
// defaults of a definition say nothing about what something else made.
func ofDefinition(r *project.Resource, d differences) differences {
	var stated differences
	for _, x := range d {
		top, _, _ := strings.Cut(x.path, ".")
		top, _, _ = strings.Cut(top, "[")
		if x.ours || r.States(top) {
			stated = append(stated, x)
		}
	}
	return stated
}
