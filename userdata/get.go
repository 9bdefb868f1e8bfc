package userdata

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// ErrNoValue says that a document has nothing at a path.
var ErrNoValue = errors.New("no such value")

// Get gives the value at a path of a document: "version", "extra.feature",
// "extra.list[0]", `extra["a.b"]`; "" is the whole. What comes back is a string,
// a bool, a json.Number, nil, a []any or a map[string]any. A path to nothing is
// ErrNoValue.
func Get(data []byte, path string) (any, error) {
	if _, err := Decode(data); err != nil {
		return nil, err
	}
	tree, err := parse(data)
	if err != nil {
		return nil, err
	}
	steps, err := split(path)
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	var at any = tree
	for i, step := range steps {
		if at, err = descend(at, step); err != nil {
			return nil, fmt.Errorf("path %q: %s: %w", path, describe(steps[:i+1]), err)
		}
	}
	return at, nil
}

// step is a key, or an index where key is nil.
type step struct {
	key   *string
	index int
}

func descend(at any, s step) (any, error) {
	if s.key == nil {
		list, ok := at.([]any)
		if !ok {
			return nil, fmt.Errorf("%w: an index into %s", ErrNoValue, kindOf(at))
		}
		if s.index >= len(list) {
			return nil, fmt.Errorf("%w: the list has %d", ErrNoValue, len(list))
		}
		return list[s.index], nil
	}
	object, ok := at.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: a key of %s", ErrNoValue, kindOf(at))
	}
	value, ok := object[*s.key]
	if !ok {
		keys := make([]string, 0, len(object))
		for key := range object {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		return nil, fmt.Errorf("%w: the keys there are: %s", ErrNoValue, strings.Join(keys, ", "))
	}
	return value, nil
}

func describe(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		switch {
		case s.key == nil:
			fmt.Fprintf(&b, "[%d]", s.index)
		case strings.ContainsAny(*s.key, `.[]"`) || *s.key == "":
			fmt.Fprintf(&b, "[%q]", *s.key)
		case b.Len() > 0:
			b.WriteString("." + *s.key)
		default:
			b.WriteString(*s.key)
		}
	}
	return b.String()
}

// split takes a path apart.
func split(path string) ([]step, error) {
	var steps []step
	for rest := path; rest != ""; {
		if rest[0] == '[' {
			s, after, err := bracket(rest[1:])
			if err != nil {
				return nil, err
			}
			steps, rest = append(steps, s), after
			continue
		}
		if len(steps) > 0 {
			if rest[0] != '.' {
				return nil, fmt.Errorf("a dot or a bracket belongs before %q", rest)
			}
			rest = rest[1:]
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		key := rest[:end]
		if key == "" {
			return nil, errors.New("a key is empty")
		}
		steps, rest = append(steps, step{key: &key}), rest[end:]
	}
	return steps, nil
}

// bracket reads `0]` or `"a.b"]`.
func bracket(rest string) (s step, after string, err error) {
	if strings.HasPrefix(rest, `"`) {
		decoder := json.NewDecoder(strings.NewReader(rest))
		var key string
		if err := decoder.Decode(&key); err != nil {
			return s, "", fmt.Errorf("the key in brackets is not closed: %s", rest)
		}
		after, ok := strings.CutPrefix(rest[decoder.InputOffset():], "]")
		if !ok {
			return s, "", errors.New("a bracket is not closed")
		}
		return step{key: &key}, after, nil
	}
	digits, after, ok := strings.Cut(rest, "]")
	if !ok {
		return s, "", errors.New("a bracket is not closed")
	}
	index, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return s, "", fmt.Errorf("%q is no index", digits)
	}
	return step{index: int(index)}, after, nil
}
