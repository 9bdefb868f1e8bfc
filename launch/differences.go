package launch

import (
	"fmt"
	"slices"
	"strings"
)

// difference is one value that is not as it should be.
type difference struct {
	path, old, new string
	// replace says why the resource has to be replaced for it; empty where it
	// can be changed in place.
	replace string
	// how says what a change in place takes, where that is more than a call.
	how string
	// moves is the attribute that is another one after it.
	moves string
	// ours is something that Goldline itself has left, whatever a definition says.
	ours bool
}

// differences are all of a resource, in the order of the kind's fields.
type differences []difference

// set notes a value that can be changed in place.
func (d *differences) set(path, old, new string) {
	if old != new {
		*d = append(*d, difference{path: path, old: old, new: new})
	}
}

// flag is set for a switch; a nil want states nothing.
func (d *differences) flag(path string, old bool, want *bool) {
	if want != nil {
		d.set(path, fmt.Sprint(old), fmt.Sprint(*want))
	}
}

// members notes what a set lacks and what it has too many, each by itself.
func (d *differences) members(path string, old, new []string) {
	for _, x := range old {
		if !slices.Contains(new, x) {
			d.set(path, x, "")
		}
	}
	for _, x := range new {
		if !slices.Contains(old, x) {
			d.set(path, "", x)
		}
	}
}

// fixed notes a value that EC2 does not change; reason defaults to saying so.
func (d *differences) fixed(path, old, new, reason string) {
	if old == new {
		return
	}
	if reason == "" {
		reason = fmt.Sprintf("%s: %s -> %s", path, orNothing(old), orNothing(new))
	}
	*d = append(*d, difference{path: path, old: old, new: new, replace: reason})
}

func (d differences) has(path string) bool {
	return slices.ContainsFunc(d, func(x difference) bool { return x.path == path })
}

// below tells whether anything at or below a path differs.
func (d differences) below(path string) bool {
	return slices.ContainsFunc(d, func(x difference) bool {
		return x.path == path || strings.HasPrefix(x.path, path+".") || strings.HasPrefix(x.path, path+"[")
	})
}

// about tells whether nothing differs but what is at or below some paths.
func (d differences) about(paths ...string) bool {
	return !slices.ContainsFunc(d, func(x difference) bool {
		return !slices.ContainsFunc(paths, func(path string) bool { return differences{x}.below(path) })
	})
}

// replaces are the reasons to replace the resource.
func (d differences) replaces() []string {
	var reasons []string
	for _, x := range d {
		if x.replace != "" && !slices.Contains(reasons, x.replace) {
			reasons = append(reasons, x.replace)
		}
	}
	return reasons
}

// inPlace are the differences that need no replacement.
func (d differences) inPlace() differences {
	return slices.DeleteFunc(slices.Clone(d), func(x difference) bool { return x.replace != "" })
}

func (d differences) fields() []FieldChange {
	var fields []FieldChange
	for _, x := range d {
		fields = append(fields, FieldChange{Path: x.path, Old: x.old, New: x.new, How: x.how})
	}
	return fields
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
