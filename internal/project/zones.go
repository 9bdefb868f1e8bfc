package project

import (
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

var zonesForm = regexp.MustCompile(`^zones\((.*)\)$`)

// maxZones is more than any region has.
const maxZones = 12

// Zone is what stands for the nth zone of the region, from 0, in place of its
// name: which one that is shows only where the definitions are launched.
func Zone(n int) string { return "zones[" + strconv.Itoa(n) + "]" }

// ZoneNumber is the number of a Zone.
func ZoneNumber(text string) (n int, ok bool) {
	if len(text) < len("zones[0]") || text[:6] != "zones[" || text[len(text)-1] != ']' {
		return 0, false
	}
	n, err := strconv.Atoi(text[6 : len(text)-1])
	return n, err == nil && n >= 0
}

// zones reads `each: {NAME: zones(2)}`, or zones(2) alone: a copy for each of
// the region's first zones, numbered from 0, with the zone in ${each.NAME}.
func (d *decoder) zones(n *yaml.Node) (copies []repetition, ok bool) {
	local := ""
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 {
		local = follow(n.Content[0]).Value
		if n, ok = d.substitute(follow(n.Content[1])); !ok {
			return nil, false
		}
	}
	m := zonesForm.FindStringSubmatch(n.Value)
	if n.Kind != yaml.ScalarNode || m == nil {
		return nil, false
	}
	number, err := strconv.Atoi(m[1])
	if err != nil || number < 1 || number > maxZones {
		d.problems.AddHint(d.src.at(n), "as in zones(2)", "zones takes a number from 1 to %d, found %q", maxZones, m[1])
		return nil, true
	}
	for i := range number {
		key, zone := scalarNode(strconv.Itoa(i)), scalarNode(Zone(i))
		locals := map[string]*yaml.Node{"index": key, "each.key": key, "each.value": zone}
		if local != "" {
			locals["each."+local] = zone
		}
		copies = append(copies, repetition{key.Value, locals, number})
	}
	return copies, true
}
