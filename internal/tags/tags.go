// Package tags is the only place where the key of a tag, or the name of a
// pointer parameter, is spelled. It makes and reads them and calls nothing.
package tags

import (
	"sort"
	"strings"
)

// Tag keys on everything that Goldline makes.
const (
	Name        = "Name"
	Project     = "goldline:project"
	Environment = "goldline:environment"
	Address     = "goldline:address"
	UUID        = "goldline:uuid"
	Run         = "goldline:run"
	Expires     = "goldline:expires" // RFC 3339; only on temporary things
	Generation  = "goldline:generation"
	KeepUntil   = "goldline:keep-until"   // RFC 3339; on what another has taken the place of and can give it back to
	Revived     = "goldline:revived"      // on a kept group that takes over again: how it was kept
	Gate        = "goldline:rollout-hook" // on a group to which a roll-out has added a lifecycle hook
	Digest      = "goldline:digest"       // of the inputs that EC2 does not give back, such as user data
	// Group and Base are on instances that were launched together: the address of
	// their definition, and the index of the first. Each one's own index is that
	// base plus EC2's launch index.
	Group   = "goldline:group"
	Base    = "goldline:base"
	Protect = "goldline:protect" // true: never deleted, not even when its definition is
	// ScalingGroup is AWS's own, on the instances of an Auto Scaling group: its
	// name.
	ScalingGroup = "aws:autoscaling:groupName"
)

// Tag keys on images and their snapshots.
const (
	Image       = "goldline:image"
	Version     = "goldline:version"
	Fingerprint = "goldline:fingerprint"
	SourceImage = "goldline:source-image"
	Published   = "goldline:published" // digest of how a build was copied and shared
	// CopiedFrom is on a build's copy, or on a shared one in the account that it is
	// shared with: AMI/region/account. CopiedTo, followed by account:region, is on
	// the AMI that was copied and holds the copy's ID.
	CopiedFrom = "goldline:copied-from"
	CopiedTo   = "goldline:copied-to:"
	Revoked    = "goldline:revoked" // why a build is used no more
	// Candidate is on an AMI that has yet to pass its tests, and holds the
	// fingerprint that it gets then. Until then it is temporary.
	Candidate = "goldline:candidate"
	// Tested is on a build, and holds the digest of the tests that it passed; Failed
	// is on an AMI that was kept although it did not, and says which.
	Tested = "goldline:tested"
	Failed = "goldline:failed"
	// Step is on an image that was kept after a provisioner, and holds the
	// fingerprint of all up to that one. StepKeys holds parts of the keys that its
	// builders' authorized_keys still have.
	Step     = "goldline:step"
	StepKeys = "goldline:step-keys"
	// Packages and Provenance hold digests of documents about a build: its list of
	// packages, and the statement of what it was made of.
	Packages    = "goldline:packages"
	Provenance  = "goldline:provenance"
	AutoCleanup = "AutoCleanup"
	// Architecture and Architectures are on the AMIs of a build for several
	// architectures: the AMI's own, and all that the build has, joined by spaces, the
	// main one first. Version and fingerprint are the same on all of them.
	Architecture  = "goldline:architecture"
	Architectures = "goldline:architectures"
	promoted      = "goldline:promoted:"
	failedIn      = "goldline:failed-in:"
	passedIn      = "goldline:passed-in:"
	checkedIn     = "goldline:checked-in:"
	// Scanned is on a build, and holds what the last scan of it found.
	Scanned = "goldline:scanned"
)

// Promoted is the key that says since when (RFC 3339) a build was promoted to
// an environment.
func Promoted(environment string) string { return promoted + environment }

// PromotedTo returns the environment of a Promoted key.
func PromotedTo(key string) (environment string, ok bool) { return strings.CutPrefix(key, promoted) }

// FailedIn is the key that says why a build was taken back in an environment.
func FailedIn(environment string) string { return failedIn + environment }

// PassedIn is the key that says since when (RFC 3339) a build is known to run
// well in an environment.
func PassedIn(environment string) string { return passedIn + environment }

// CheckedIn is the key that says since when (RFC 3339) a build passes a check
// stage in an environment.
func CheckedIn(environment, check string) string { return checkedIn + environment + ":" + check }

// InEnvironment takes apart a key that says what became of one AMI in an
// environment, rather than what it is: ok is false for every other key.
func InEnvironment(key string) (prefix, environment string, ok bool) {
	for _, prefix := range []string{promoted, failedIn, passedIn} {
		if environment, ok := strings.CutPrefix(key, prefix); ok {
			return prefix, environment, true
		}
	}
	if rest, ok := strings.CutPrefix(key, checkedIn); ok {
		environment, _, ok = strings.Cut(rest, ":")
		return checkedIn, environment, ok
	}
	return "", "", false
}

// Reserved tells whether a key is Goldline's or AWS's own, so that a user's
// definition may not set it.
func Reserved(key string) bool {
	return strings.HasPrefix(key, "goldline:") || strings.HasPrefix(strings.ToLower(key), "aws:")
}

// Pointer is the SSM parameter that holds the AMI that is current in an
// environment.
func Pointer(project, environment, image string) string {
	return Pointers(project, environment) + image
}

// ArchitecturePointer is the parameter beside Pointer that holds the AMI for
// another architecture than the main one. Names of images have no dot.
func ArchitecturePointer(project, environment, image, architecture string) string {
	return Pointer(project, environment, image) + "." + architecture
}

// Pointers is the path below which the pointers of an environment lie, with
// its closing slash.
func Pointers(project, environment string) string {
	return AllPointers(project) + environment + "/"
}

// Approvals is the path below which the approvals of a build for an environment
// lie, with its closing slash.
func Approvals(project, environment, build string) string {
	return Pointers(project, environment) + "approvals/" + build + "/"
}

// History is the path below which the archived history of an image's pointer
// lies, with its closing slash.
func History(project, environment, image string) string {
	return Pointers(project, environment) + "history/" + image + "/"
}

// AllPointers is the path below which the pointers of a project lie, with its
// closing slash.
func AllPointers(project string) string { return "/goldline/" + project + "/" }

// Merge returns the union of tag sets; later ones win.
func Merge(sets ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, set := range sets {
		for k, v := range set {
			all[k] = v
		}
	}
	return all
}

// Keys lists the keys of a tag set in order.
func Keys(set map[string]string) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
