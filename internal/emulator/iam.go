package emulator

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// iamService holds the tables of IAM and carries out its actions. IAM is
// global: its rows live in the account's world without a region. Permissions
// are kept and never enforced.
type iamService struct {
	cloud    *Cloud
	entities *table[entityRow]
	policies *table[policyRow]
	profiles *table[profileRow]
}

// entityRow is a user, a group or a role.
type entityRow struct {
	Kind     string // user, group, role
	Name     string
	Path     string
	ID       string
	ARN      string
	Created  time.Time
	Tags     map[string]string `json:",omitempty"`
	Attached []string          `json:",omitempty"` // ARNs of managed policies, in order
	Inline   map[string]string `json:",omitempty"` // documents by name
	Users    []string          `json:",omitempty"` // of a group: its members' names
	Boundary string            `json:",omitempty"` // of a user or a role: the ARN of a managed policy

	// Of a user.
	Keys  []accessKeyRow `json:",omitempty"`
	Login *loginRow      `json:",omitempty"`

	// Of a role.
	Trust       string  `json:",omitempty"`
	Description *string `json:",omitempty"`
	MaxSession  int32   `json:",omitempty"`
}

// key is unique among an account's entities of a kind whatever the case, as
// IAM's names are.
func entityKey(kind, name string) string { return kind + " " + strings.ToLower(name) }

func newIAM(c *Cloud) *iamService {
	s := &iamService{
		cloud:    c,
		entities: newTable[entityRow](c.store, "iam-entities"),
		policies: newTable[policyRow](c.store, "iam-policies"),
		profiles: newTable[profileRow](c.store, "iam-instance-profiles"),
	}
	for _, kind := range []string{"user", "group", "role"} {
		inventory(c, "iam-"+kind, s.entities, func(e entityRow) (string, bool) {
			text := e.ARN
			if kind == "group" {
				text += fmt.Sprint(" ", e.Users)
			}
			text += fmt.Sprint(" ", e.Attached)
			if e.Boundary != "" {
				text += " within " + e.Boundary
			}
			for _, k := range e.Keys {
				text += " key " + k.ID
			}
			for _, name := range sortedKeys(e.Inline) {
				text += " " + name + "=" + e.Inline[name]
			}
			return text + " " + e.Trust, e.Kind == kind
		})
	}
	inventory(c, "iam-policy", s.policies, func(p policyRow) (string, bool) { return p.ARN + " " + p.current().Document, true })
	inventory(c, "iam-instance-profile", s.profiles, func(p profileRow) (string, bool) { return p.ARN + " " + p.Role, true })
	s.addUsers()
	s.addGroups()
	s.addRoles()
	s.addPolicies()
	s.addEntityPolicies()
	s.addProfiles()
	s.addTags()
	s.addBoundaries()
	s.addCredentials()
	onIAM(s, "GetAccountAuthorizationDetails", "Filter Marker MaxItems", s.getAccountAuthorizationDetails)
	return s
}

// onIAM adds an action; see handleHonouring for what honours means.
func onIAM[I, O any](s *iamService, action, honours string, f func(apiCall, *I) (*O, error)) {
	handleCall(s.cloud.registry, "iam", action, honours, func(who caller) apiCall {
		return apiCall{who, world{Account: who.Account}, s.cloud.clock.Now().UTC().Truncate(time.Second)}
	}, f)
}

func noSuchEntity(format string, args ...any) error {
	return &apiError{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: fmt.Sprintf(format, args...)}
}

func iamConflict(code, format string, args ...any) error {
	return &apiError{Status: http.StatusConflict, Code: code, Message: fmt.Sprintf(format, args...)}
}

func iamInvalid(format string, args ...any) error { return refuse("ValidationError", format, args...) }

func limitExceeded(what string, most int) error {
	return iamConflict("LimitExceeded", "Cannot exceed quota for %s: %d", what, most)
}

// The forms of names and paths in the reference of CreateRole and its like.
var (
	iamName = regexp.MustCompile(`^[\w+=,.@-]+$`)
	iamPath = regexp.MustCompile(`^(/|/[\x21-\x7e]+/)$`)
)

// Longest names by kind:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
var longestName = map[string]int{"user": 64, "group": 128, "role": 64, "policy": 128, "instance-profile": 128}

func checkIAMName(kind, name string) error {
	if !iamName.MatchString(name) {
		return iamInvalid("The specified value for %sName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", strings.ReplaceAll(kind, "-", ""))
	}
	if most := longestName[kind]; len(name) > most {
		return iamInvalid("1 validation error detected: Value '%s' at '%sName' failed to satisfy constraint: Member must have length less than or equal to %d", name, kind, most)
	}
	return nil
}

// checkPath gives the path of a new thing, / by default.
func checkPath(path *string) (string, error) {
	if path == nil {
		return "/", nil
	}
	if !iamPath.MatchString(*path) || len(*path) > 512 {
		return "", iamInvalid("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return *path, nil
}

func iamARN(account, kind, path, name string) string {
	return "arn:aws:iam::" + account + ":" + kind + path + name
}

// iamID is a new unique ID; prefixes tell kinds apart.
func iamID(prefix string) string { return prefix + strings.ToUpper(instanceID.make()[2:19]) }

// create adds a user, a group or a role.
func (s *iamService) create(c apiCall, kind, prefix, name string, path *string, tags []types.Tag) (entityRow, error) {
	if err := checkIAMName(kind, name); err != nil {
		return entityRow{}, err
	}
	p, err := checkPath(path)
	if err != nil {
		return entityRow{}, err
	}
	if _, exists := s.entities.get(c.w, entityKey(kind, name)); exists {
		return entityRow{}, iamConflict("EntityAlreadyExists", "%s with name %s already exists.", upperFirst(kind), name)
	}
	set, err := iamTags(nil, tags)
	return entityRow{Kind: kind, Name: name, Path: p, ID: iamID(prefix), ARN: iamARN(c.Account, kind, p, name), Created: c.now, Tags: set}, err
}

func (s *iamService) put(c apiCall, e entityRow) { s.entities.put(c.w, entityKey(e.Kind, e.Name), e) }

// move gives an entity another name or path, and with them another ARN. All
// that hangs on it stays.
func (s *iamService) move(c apiCall, e *entityRow, name, path *string) error {
	old := *e
	if name != nil {
		if err := checkIAMName(e.Kind, *name); err != nil {
			return err
		}
		if _, taken := s.entities.get(c.w, entityKey(e.Kind, *name)); taken && !strings.EqualFold(*name, old.Name) {
			return iamConflict("EntityAlreadyExists", "%s with name %s already exists.", upperFirst(e.Kind), *name)
		}
		e.Name = *name
	}
	if path != nil {
		p, err := checkPath(path)
		if err != nil {
			return err
		}
		e.Path = p
	}
	e.ARN = iamARN(c.Account, e.Kind, e.Path, e.Name)
	s.entities.remove(c.w, entityKey(old.Kind, old.Name))
	s.put(c, *e)
	return nil
}

func (s *iamService) entity(c apiCall, kind string, name *string) (entityRow, error) {
	e, ok := s.entities.get(c.w, entityKey(kind, deref(name)))
	if !ok {
		return e, noSuchEntity("The %s with name %s cannot be found.", kind, deref(name))
	}
	return e, nil
}

// ofKind lists the entities of a kind below a path.
func (s *iamService) ofKind(c apiCall, kind string, prefix *string) []entityRow {
	var list []entityRow
	for _, e := range s.entities.all(c.w) {
		if e.Kind == kind && strings.HasPrefix(e.Path, deref(prefix)) {
			list = append(list, e)
		}
	}
	return list
}

// remove deletes an entity that nothing hangs on any more.
func (s *iamService) remove(c apiCall, e entityRow) error {
	switch {
	case len(e.Attached) > 0:
		return iamConflict("DeleteConflict", "Cannot delete entity, must detach all policies first.")
	case len(e.Inline) > 0:
		return iamConflict("DeleteConflict", "Cannot delete entity, must delete policies first.")
	case len(e.Users) > 0:
		return iamConflict("DeleteConflict", "Cannot delete entity, must remove users from group first.")
	case len(e.Keys) > 0:
		return iamConflict("DeleteConflict", "Cannot delete entity, must delete access keys first.")
	case e.Login != nil:
		return iamConflict("DeleteConflict", "Cannot delete entity, must delete login profile first.")
	}
	s.entities.remove(c.w, entityKey(e.Kind, e.Name))
	return nil
}

// iamPage cuts a list by Marker, the number of the first that is to come, and
// MaxItems.
func iamPage[T any](list []T, marker *string, most *int32) (page []T, truncated bool, next *string, err error) {
	from, size := 0, 100
	if marker != nil {
		if from, err = strconv.Atoi(*marker); err != nil || from < 0 || from > len(list) {
			return nil, false, nil, refuse("ValidationError", "Invalid Marker.")
		}
	}
	if most != nil {
		if size = int(*most); size < 1 || size > 1000 {
			return nil, false, nil, iamInvalid("1 validation error detected: Value '%d' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and 1000", size)
		}
	}
	to := min(len(list), from+size)
	page = list[from:to]
	if to < len(list) {
		return page, true, new(strconv.Itoa(to)), nil
	}
	return page, false, nil, nil
}

// encoded is a policy document as IAM gives it back.
func encoded(document string) *string {
	return new(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}

// maxIAMTags is how many tags a thing may have.
const maxIAMTags = 50

func iamTags(have map[string]string, add []types.Tag) (map[string]string, error) {
	set := maps.Clone(have)
	if set == nil && len(add) > 0 {
		set = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range add {
		if k := strings.ToLower(*t.Key); seen[k] {
			return nil, refuse("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		} else {
			seen[k] = true
		}
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return nil, iamInvalid("The tag %s is not valid.", *t.Key)
		}
		if why := outOfForm(*t.Key, *t.Value); why != "" {
			return nil, iamInvalid("%s", why)
		}
		// Keys differ in more than capital letters, and the newest spelling stays.
		maps.DeleteFunc(set, func(k, _ string) bool { return strings.EqualFold(k, *t.Key) })
		set[*t.Key] = *t.Value
	}
	if len(set) > maxIAMTags {
		return nil, limitExceeded("TagsPerEntity", maxIAMTags)
	}
	return set, nil
}

func iamTagList(set map[string]string) []types.Tag {
	var list []types.Tag
	for _, k := range sortedKeys(set) {
		list = append(list, types.Tag{Key: new(k), Value: new(set[k])})
	}
	return list
}

func untagged(set map[string]string, keys []string) map[string]string {
	set = maps.Clone(set)
	for _, k := range keys {
		delete(set, k)
	}
	return set
}

// without is a list without an element.
func without[T comparable](list []T, one T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(x T) bool { return x == one })
}

// with is a list with one more element.
func with(list []string, s string) []string { return append(slices.Clone(list), s) }

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
