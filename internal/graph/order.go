package graph

// Order returns the names so that each stands behind all that it needs, and
// otherwise in the order given. A need that is no name is passed over. cycle is
// nil, or a ring of names in which each needs the next and the last the first.
func Order(names []string, needs func(name string) []string) (ordered, cycle []string) {
	const (
		unseen = iota
		open
		done
	)
	state := make(map[string]int, len(names))
	known := make(map[string]bool, len(names))
	for _, n := range names {
		known[n] = true
	}
	var path []string
	var visit func(string) bool
	visit = func(n string) bool {
		state[n] = open
		path = append(path, n)
		for _, need := range needs(n) {
			if !known[need] {
				continue
			}
			switch state[need] {
			case open:
				for i, p := range path {
					if p == need {
						cycle = append([]string(nil), path[i:]...)
					}
				}
				return false
			case unseen:
				if !visit(need) {
					return false
				}
			}
		}
		path = path[:len(path)-1]
		state[n] = done
		ordered = append(ordered, n)
		return true
	}
	for _, n := range names {
		if state[n] == unseen && !visit(n) {
			return nil, cycle
		}
	}
	return ordered, nil
}
