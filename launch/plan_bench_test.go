package launch

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkPlan plans a platform of 1,000 instances that are all there, each
// third with a volume: what the plan itself takes, with everything read and
// described by the local cloud in the same process.
func BenchmarkPlan(b *testing.B) {
	s := wide(b, 1000)
	s.launch()
	o := s.options()
	first := amiOf(s)
	w, err := newWorld(o)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.read(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Run("own", func(b *testing.B) {
		for b.Loop() {
			p, err := newPlanner(w)
			if err == nil {
				err = p.decide()
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			plan, err := NewPlan(context.Background(), o)
			if err != nil || !plan.Empty() {
				b.Fatal(err)
			}
		}
	})
	b.Run("definitions", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.topology(); err != nil {
				b.Fatal(err)
			}
		}
	})
	anew := func(ami string, there *inventory) *world {
		s.edit("topology/instances/web.yaml", first, ami)
		s.edit("topology/instances/data.yaml", first, ami)
		first = ami
		w, err := newWorld(s.options())
		if err != nil {
			b.Fatal(err)
		}
		w.inventory, w.builds, w.amis = there, map[string]build{}, map[string]build{}
		return w
	}
	for name, w := range map[string]*world{"all replaced": anew("ami-0123456789abcdef0", w.inventory), "empty account": anew("ami-0123456789abcdef0", newInventory(nil))} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p, err := newPlanner(w)
				if err == nil {
					err = p.decide()
				}
				if err != nil {
					b.Fatal(err)
				}
				e, err := newExecution(w.Options, &Plan{Environment: w.environment, steps: p})
				if err != nil {
					b.Fatal(err)
				}
				if nodes := e.steps(); len(nodes) < 1000 {
					b.Fatal(len(nodes))
				}
			}
		})
	}
}

func amiOf(s *site) string {
	for _, r := range s.options().Topology.Resources {
		if spec, ok := r.Spec.(*instanceSpec); ok {
			return spec.AMI
		}
	}
	return ""
}

// wide is the platform with a given number of web servers.
func wide(t testing.TB, n int) *site {
	t.Helper()
	files := platform()
	files["topology/instances/web.yaml"] = fmt.Sprintf("ami: AMI\ninstance_type: t3.micro\ncount: %d\nsubnet: public-b\nsecurity_groups: [web]\n", n-n/3)
	files["topology/instances/data.yaml"] = fmt.Sprintf("ami: AMI\ninstance_type: t3.micro\ncount: %d\nsubnet: public-a\nsecurity_groups: [db]\nvolumes: [{volume: \"data[${index}]\", device: /dev/sdf}]\n", n/3)
	files["topology/volumes/data.yaml"] = fmt.Sprintf("count: %d\navailability_zone: a\nsize: 8\n", n/3)
	delete(files, "topology/instances/db.yaml")
	delete(files, "topology/volumes/orders.yaml")
	s := newSite(t, files)
	ami := s.build("web", "1.0.0")
	s.edit("topology/instances/web.yaml", "AMI", ami)
	s.edit("topology/instances/data.yaml", "AMI", ami)
	s.edit("topology/subnets/all.yaml", "10.0.1.0/24", "10.0.16.0/20")
	s.edit("topology/subnets/all.yaml", "10.0.2.0/24", "10.0.32.0/20")
	return s
}
