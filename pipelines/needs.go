package pipelines

import (
	"fmt"
	"slices"
)

// connect turns the selected stages into nodes.
func (c *compiler) connect() {
	for _, s := range c.order {
		if !s.selected {
			continue
		}
		if s.items == nil {
			n := Node{Name: s.Name, Stage: s.Name}
			n.Needs = c.needsOf(s, "")
			c.plan.Nodes = append(c.plan.Nodes, n)
			continue
		}
		for _, item := range s.items {
			n := Node{Name: nodeName(s.Name, item), Stage: s.Name, Item: item}
			n.Needs = c.needsOf(s, item)
			switch s.Kind {
			case KindBake:
				n.Needs = unique(append(c.source(s, item), n.Needs...))
			case KindPromote:
				n.Build = c.build(s, item)
			}
			c.plan.Nodes = append(c.plan.Nodes, n)
		}
	}
}

func nodeName(stage, item string) string { return fmt.Sprintf("%s/%s", stage, item) }

// needsOf gives the nodes that a stage's node waits for.
func (c *compiler) needsOf(s *compiled, item string) []string {
	var nodes []string
	for _, need := range s.needs {
		nodes = append(nodes, c.resolve(need, item)...)
	}
	return unique(nodes)
}

// resolve gives the nodes of a stage that an item waits for. Where the stage
// was not selected, or goes over other images, the item waits for what that
// stage would have waited for: leaving one out of the middle keeps the order
// of the others.
func (c *compiler) resolve(stage, item string) []string {
	s := c.stages[stage]
	switch {
	case s.selected && s.items == nil:
		return []string{s.Name}
	case s.selected && slices.Contains(s.items, item):
		return []string{nodeName(s.Name, item)}
	case s.selected && item == "" && len(s.items) > 0:
		var all []string
		for _, i := range s.items {
			all = append(all, nodeName(s.Name, i))
		}
		return all
	}
	return c.needsOf(s, item)
}

// source gives the node that bakes what an image starts from, if this run does.
func (c *compiler) source(s *compiled, item string) []string {
	image := c.plan.definitions[s.Name].images[item]
	if image == nil || image.SourceImage == "" {
		return nil
	}
	if slices.Contains(s.items, image.SourceImage) {
		return []string{nodeName(s.Name, image.SourceImage)}
	}
	if of := c.upstream(s, image.SourceImage, func(u *compiled) bool { return u.Kind == KindBake }); of != nil {
		return []string{nodeName(of.Name, image.SourceImage)}
	}
	return nil
}

// build gives the node whose build a promotion takes: to the first rung what
// this run baked, to a higher one what this run promoted one rung below. Empty
// where this run does neither, or rolled it back since: the cloud knows.
func (c *compiler) build(s *compiled, item string) string {
	rung := slices.Index(c.options.Project.Ladder, s.Environment)
	var from *compiled
	if rung == 0 {
		from = c.upstream(s, item, func(u *compiled) bool { return u.Kind == KindBake })
	} else if rung > 0 {
		below := c.options.Project.Ladder[rung-1]
		from = c.upstream(s, item, func(u *compiled) bool {
			return u.Environment == below && (u.Kind == KindPromote || u.Kind == KindRollback)
		})
	}
	if from == nil || from.Kind == KindRollback {
		return ""
	}
	return nodeName(from.Name, item)
}

// upstream gives the nearest selected stage before s that handles an image and
// is accepted.
func (c *compiler) upstream(s *compiled, image string, accept func(*compiled) bool) *compiled {
	seen := map[string]bool{}
	next := s.needs
	for len(next) > 0 {
		var further []string
		for _, name := range next {
			if seen[name] {
				continue
			}
			seen[name] = true
			u := c.stages[name]
			if u.selected && slices.Contains(u.Images, image) && accept(u) {
				return u
			}
			further = append(further, u.needs...)
		}
		next = further
	}
	return nil
}

func unique(names []string) []string {
	var list []string
	for _, n := range names {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// checkConflicts reports two stages that change the same thing and of which
// none comes before the other: what they leave would depend on chance.
func (c *compiler) checkConflicts() {
	for i, b := range c.order {
		for _, a := range c.order[:i] {
			if what := conflict(a, b); what != "" && !c.after(b.Name, a.Name) && !c.after(a.Name, b.Name) {
				c.problems.AddHint(b.stage.Pos, "add one to the other's `needs`", "stages %s and %s both change %s, and neither comes before the other", a.Name, b.Name, what)
			}
		}
	}
}

// conflict says what two stages both change, or "".
func conflict(a, b *compiled) string {
	shared := func() string {
		for _, image := range a.items {
			if slices.Contains(b.items, image) {
				return image
			}
		}
		return ""
	}
	switch {
	case a.Kind == KindBake && b.Kind == KindBake:
		if image := shared(); image != "" {
			return "image " + image
		}
	case !a.changes() || !b.changes() || a.Environment != b.Environment:
	case a.Kind == KindPromote && b.Kind == KindPromote:
		if image := shared(); image != "" {
			return "what is current of " + image + " in " + a.Environment
		}
	default:
		return "environment " + a.Environment
	}
	return ""
}
