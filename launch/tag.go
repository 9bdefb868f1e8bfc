package launch

import (
	"strings"
	"unicode/utf8"

	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// plainTagger is a kind of a service that takes fewer characters in tags than
// EC2: IAM, Elastic Load Balancing, Route 53.
type plainTagger interface{ tagService() string }

// Kinds embed the one that they are of.
type (
	inIAM     struct{}
	inELB     struct{}
	inRoute53 struct{}
)

func (inIAM) tagService() string     { return iamService }
func (inELB) tagService() string     { return "Elastic Load Balancing" }
func (inRoute53) tagService() string { return "Route 53" }

const iamService = "IAM"

func (a adapter[S, R]) tagService() string {
	if h, ok := a.h.(plainTagger); ok {
		return h.tagService()
	}
	return ""
}

// nameTag is the tag Name of a definition that gives none.
func nameTag(k kind, r *project.Resource) string {
	if k.tagService() == "" {
		return displayName(r)
	}
	return tags.PlainName(r.Name, r.Index)
}

// checkTags reports the tags of a definition that its service refuses.
func (c *checker) checkTags(k kind, r *project.Resource) {
	if len(r.Tags) > maxTags {
		c.problems.Addf(r.At("tags"), "%d tags: AWS takes 50, and Goldline needs some of its own, so at most %d", len(r.Tags), maxTags)
	}
	service := k.tagService()
	same := map[string]string{}
	if service == iamService {
		same[strings.ToLower(tags.Name)] = tags.Name // which Goldline gives
	}
	for _, key := range tags.Keys(r.Tags) {
		at, value := r.At("tags."+key), r.Tags[key]
		switch {
		case key == "" || utf8.RuneCountInString(key) > tags.MaxKey:
			c.problems.Addf(at, "the key of a tag has 1 to %d characters", tags.MaxKey)
		case utf8.RuneCountInString(value) > tags.MaxValue:
			c.problems.Addf(at, "the tag %s is %d characters long: AWS takes %d", key, utf8.RuneCountInString(value), tags.MaxValue)
		case service != "" && !(tags.IsPlain(key) && tags.IsPlain(value)):
			c.problems.AddHint(at, tags.PlainHint, "%s does not take the tag %s: %q", service, key, value)
		}
		if service != iamService {
			continue
		}
		lower := strings.ToLower(key)
		if other, ok := same[lower]; ok && other != key {
			c.problems.Addf(at, "the tags %s and %s are one to IAM, which does not tell capital letters in their keys", other, key)
		}
		same[lower] = key
	}
}

// birthSet are the tags for a call that makes something, as a set.
func (t *task) birthSet() map[string]string {
	set := tags.Merge(t.tags)
	if t.Run != "" {
		set[tags.Run] = t.Run
	}
	return set
}
