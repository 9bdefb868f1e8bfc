package launch

import (
	"sync"

	"github.com/goldline-dev/goldline/internal/project"
)

// placedKey is a record in its zone.
type placedKey struct {
	zone string // its ID
	recordKey
}

// nameBook is what a launch knows about zones and records beyond the definitions,
// and the way to their changes. It may be used from many goroutines.
type nameBook struct {
	mu         sync.Mutex
	zones      map[string]zoneGeneration // by the UUID of a zone's definition
	candidates map[string][]string       // what the definition of a zone may adopt, by its UUID
	domains    map[string]string         // by a zone's ID
	foreign    map[placedKey]*owner      // records that are not the environment's; nil for those without a marker
	changes    map[string]*zoneChanges   // by a zone's ID

	topology    *project.Topology
	definitions map[string]*project.Resource // of topology, by address
}

type zoneGeneration struct {
	id         string
	generation int
}

func newNameBook() *nameBook {
	return &nameBook{zones: map[string]zoneGeneration{}, candidates: map[string][]string{}, domains: map[string]string{}, foreign: map[placedKey]*owner{}, changes: map[string]*zoneChanges{}}
}

// learn takes in what was read.
func (n *nameBook) learn(w *world, list []hostedZone) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, z := range list {
		n.domains[z.id()] = z.domain()
		if uuid := z.reference.uuid; uuid != "" && n.zones[uuid].generation <= z.reference.generation {
			n.zones[uuid] = zoneGeneration{z.id(), z.reference.generation}
		}
		for _, r := range w.resources() {
			if r.Kind == "zone" && r.Adopt != nil && adopts(r.Adopt, &found{state: zones{}.read(z)}) {
				n.candidates[r.UUID] = appendNew(n.candidates[r.UUID], z.id())
			}
		}
		owners := ownersOf(z.records)
		for _, set := range z.records {
			k := keyOf(set)
			if at := (placedKey{z.id(), k}); w.owns(owners[k]) {
				delete(n.foreign, at)
			} else {
				n.foreign[at] = owners[k]
			}
		}
	}
}

// settle notes which zone a definition adopts.
func (n *nameBook) settle(r *project.Resource, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Kind == "zone" {
		n.zones[r.UUID] = zoneGeneration{id: id}
	}
}

// mayBe tells whether a zone may be that of a definition: several may be what
// one adopts, until it is known what they belong to.
func (n *nameBook) mayBe(uuid, id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known := n.zones[uuid].id; known != "" {
		return known == id
	}
	return has(n.candidates[uuid], id)
}

func (n *nameBook) domain(zone string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.domains[zone]
}

func (n *nameBook) zone(uuid string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if only := n.candidates[uuid]; n.zones[uuid].id == "" && len(only) == 1 {
		return only[0]
	}
	return n.zones[uuid].id
}

func appendNew(list []string, s string) []string {
	if has(list, s) {
		return list
	}
	return append(list, s)
}

// taken tells whether a record is there that is not the environment's, and
// whose it is as far as that is known.
func (n *nameBook) taken(at placedKey) (whose *owner, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	whose, ok = n.foreign[at]
	return whose, ok
}

// of is the way to the changes of a zone's records.
func (n *nameBook) of(zone string) *zoneChanges {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changes[zone] == nil {
		n.changes[zone] = newZoneChanges(zone)
	}
	return n.changes[zone]
}

// definition is the one of an address; nil for none.
func (n *nameBook) definition(t *project.Topology, address string) *project.Resource {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.topology != t {
		n.topology, n.definitions = t, map[string]*project.Resource{}
		for _, r := range t.Resources {
			n.definitions[r.Address] = r
		}
	}
	return n.definitions[address]
}
