package emulator

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// parameterFilter is one filter, checked: any of its values, in the way of its
// option.
type parameterFilter struct {
	key    string
	option string
	values []string
}

type parameterFilterList []parameterFilter

// parameterFilters checks filters: their keys must be among keys, where "tag:"
// stands for every tag, their options among those that the key takes.
func parameterFilters(asked []types.ParameterStringFilter, keys ...string) (parameterFilterList, error) {
	var list parameterFilterList
	seen := map[string]bool{}
	for _, a := range asked {
		f := parameterFilter{key: *a.Key, values: a.Values}
		tag := strings.HasPrefix(f.key, "tag:") && len(f.key) > len("tag:")
		if !slices.Contains(keys, f.key) && !(tag && slices.Contains(keys, "tag:")) {
			return nil, refuse("InvalidFilterKey", "The following filter key is not valid: %s. Valid filter keys include: [%s].", f.key, strings.Join(keys, ", "))
		}
		if seen[f.key] {
			return nil, ssmInvalid("The following filters are duplicated in the request: [%s].", f.key)
		}
		seen[f.key] = true
		options := filterOptions(f.key)
		f.option = options[0]
		if a.Option != nil {
			f.option = *a.Option
		}
		if !slices.Contains(options, f.option) {
			return nil, refuse("InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [%s].", f.option, strings.Join(options, ", "))
		}
		if len(f.values) == 0 && !tag {
			return nil, refuse("InvalidFilterValue", "The following filter values are missing : null for filter key %s.", f.key)
		}
		if len(f.values) > 50 {
			return nil, refuse("InvalidFilterValue", "A filter takes at most 50 values.")
		}
		list = append(list, f)
	}
	return list, nil
}

// filterOptions are the options that a key takes, the usual one first.
func filterOptions(key string) []string {
	switch {
	case key == "Name":
		return []string{"Equals", "BeginsWith", "Contains"}
	case key == "Path":
		return []string{"OneLevel", "Recursive"}
	case strings.HasPrefix(key, "tag:"), key == "Type", key == "Label", key == "Tier":
		return []string{"Equals"}
	}
	return []string{"Equals", "BeginsWith"}
}

// legacyFilter is a filter of the older member Filters, whose names are
// prefixes.
func legacyFilter(f types.ParametersFilter) types.ParameterStringFilter {
	key, option := string(f.Key), "Equals"
	if f.Key == types.ParametersFilterKeyName {
		option = "BeginsWith"
	}
	return types.ParameterStringFilter{Key: &key, Option: &option, Values: f.Values}
}

func (l parameterFilterList) match(p parameter) bool {
	for _, f := range l {
		if !f.match(p) {
			return false
		}
	}
	return true
}

// label is the version label that is asked for, which also chooses the version
// to answer with.
func (l parameterFilterList) label() (string, bool) {
	for _, f := range l {
		if f.key == "Label" && len(f.values) > 0 {
			return f.values[0], true
		}
	}
	return "", false
}

func (f parameterFilter) match(p parameter) bool {
	if key, ok := strings.CutPrefix(f.key, "tag:"); ok {
		value, has := p.Tags[key]
		return has && (len(f.values) == 0 || slices.Contains(f.values, value))
	}
	return slices.ContainsFunc(f.values, func(value string) bool { return f.matchValue(p, value) })
}

func (f parameterFilter) matchValue(p parameter, value string) bool {
	v := p.latest()
	has := ""
	switch f.key {
	case "Name":
		has = p.Name
		// Names outside of a hierarchy match with and without the slash.
		if !strings.Contains(has, "/") {
			value = strings.TrimPrefix(value, "/")
		}
	case "Type":
		has = string(p.Type)
	case "Tier":
		has = string(v.Tier)
	case "DataType":
		has = v.DataType
	case "KeyId":
		if v.KeyID == nil {
			return false
		}
		has = *v.KeyID
	case "Label":
		_, ok := p.version(value)
		return ok
	case "Path":
		rest, ok := strings.CutPrefix(p.Name, strings.TrimSuffix(value, "/")+"/")
		return ok && (f.option == "Recursive" || !strings.Contains(rest, "/"))
	}
	switch f.option {
	case "BeginsWith":
		return strings.HasPrefix(has, value)
	case "Contains":
		return strings.Contains(has, value)
	}
	return has == value
}
