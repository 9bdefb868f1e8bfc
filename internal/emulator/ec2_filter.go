package emulator

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// filters are the filters that a Describe call has, by name: each gives the
// values that a thing has under it. A thing passes a filter if one of its
// values matches one of the filter's, and is listed if it passes all filters.
type filters[T any] map[string]func(T) []string

// choose keeps the things of a list that pass every filter asked for. All things
// with an ID have the filters tag:KEY and tag-key besides those of f.
func choose[T any](s *ec2Service, w world, list []T, id func(T) string, f filters[T], asked []types.Filter) ([]T, error) {
	if id != nil {
		list = keep(list, func(v T) bool { return s.seen(id(v)) })
	}
	for _, filter := range asked {
		name := aws.ToString(filter.Name)
		values := f[name]
		if key, ok := strings.CutPrefix(name, "tag:"); ok && id != nil {
			values = func(v T) []string { return s.tagValue(w, id(v), key) }
		}
		if name == "tag-key" && id != nil {
			values = func(v T) []string { return s.tagKeys(w, id(v)) }
		}
		switch {
		case name == "":
			return nil, refuse("InvalidParameterValue", "The filter 'null' is invalid")
		case values == nil:
			return nil, refuse("InvalidParameterValue", "The filter '%s' is invalid", name)
		case len(filter.Values) == 0:
			return nil, refuse("InvalidParameterValue", "The filter '%s' has no values", name)
		case len(filter.Values) > 200:
			return nil, refuse("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
		}
		list = keep(list, func(v T) bool { return matchesAny(values(v), filter.Values) })
	}
	return list, nil
}

// keep is the part of a list that passes.
func keep[T any](list []T, pass func(T) bool) []T {
	kept := make([]T, 0, len(list))
	for _, v := range list {
		if pass(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

func matchesAny(values, patterns []string) bool {
	for _, value := range values {
		for _, pattern := range patterns {
			if matches(value, pattern) {
				return true
			}
		}
	}
	return false
}

// matches compares as EC2's filters do: the whole value, case and all, where *
// stands for any text, ? for any one character, and a backslash takes the
// meaning from what follows it.
func matches(value, pattern string) bool {
	v, p := []rune(value), []rune(pattern)
	i, j := 0, 0
	star, mark := -1, 0
	for i < len(v) {
		switch {
		case j < len(p) && p[j] == '*':
			star, mark = j, i
			j++
			continue
		case j < len(p) && p[j] == '?':
			i, j = i+1, j+1
			continue
		case j+1 < len(p) && p[j] == '\\' && p[j+1] == v[i]:
			i, j = i+1, j+2
			continue
		case j < len(p) && p[j] != '\\' && p[j] == v[i]:
			i, j = i+1, j+1
			continue
		case star >= 0:
			mark++
			i, j = mark, star+1
			continue
		}
		return false
	}
	for j < len(p) && p[j] == '*' {
		j++
	}
	return j == len(p)
}

// one is the list of a value's text, empty for an absent one.
func one[S ~string](value S) []string {
	if value == "" {
		return nil
	}
	return []string{string(value)}
}

// opt is the same for a pointer.
func opt(value *string) []string {
	if value == nil {
		return nil
	}
	return []string{*value}
}

func flag(value *bool) []string { return []string{strconv.FormatBool(aws.ToBool(value))} }

func number[N int32 | int64](value *N) []string {
	if value == nil {
		return nil
	}
	return []string{strconv.FormatInt(int64(*value), 10)}
}

// paging is what a Describe call says of pages. Lists are in the order of
// their keys; a token says after which key its page starts, so things that come
// or go between two pages neither repeat nor hide others.
type paging struct {
	max        *int32
	token      *string
	least, top int32
}

// page cuts one page out of a list and says how to get the next.
func page[T any](list []T, key func(T) string, p paging) ([]T, *string, error) {
	if p.token != nil && *p.token != "" {
		after, err := readToken(*p.token)
		if err != nil {
			return nil, nil, err
		}
		list = keep(list, func(v T) bool { return key(v) > after })
	}
	if p.max == nil || *p.max == 0 {
		return list, nil, nil
	}
	if *p.max < p.least {
		return nil, nil, refuse("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than %d.", *p.max, p.least)
	}
	size := int(*p.max)
	if p.top > 0 {
		size = min(size, int(p.top))
	}
	if len(list) <= size {
		return list, nil, nil
	}
	list = list[:size]
	return list, new(writeToken(key(list[size-1]))), nil
}

const tokenMark = "goldline after "

func writeToken(key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenMark + key))
}

func readToken(token string) (string, error) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	after, ok := strings.CutPrefix(string(text), tokenMark)
	if err != nil || !ok {
		return "", refuse("InvalidNextToken", "The token '%s' is invalid", token)
	}
	return after, nil
}

// noPagesOfIDs refuses MaxResults beside a list of IDs, as EC2 does.
func noPagesOfIDs(ids []string, parameter string, max *int32) error {
	if len(ids) > 0 && max != nil {
		return refuse("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", parameter)
	}
	return nil
}
