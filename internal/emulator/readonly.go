package emulator

import (
	"net/http"
	"slices"
	"strings"
)

// The local cloud evaluates no policies: every caller may do everything, but
// for one. Credentials of a role whose only permission is AWS's own policy
// ReadOnlyAccess may read alone, so that what promises to change nothing can be
// tried with credentials that could not.

const readOnlyAccess = "policy/ReadOnlyAccess"

// permitted refuses a call that changes something to a caller that only reads.
func (c *Cloud) permitted(req *request) error {
	if reads(req.action) {
		return nil
	}
	readsOnly := false
	err := c.store.transact(func() error {
		readsOnly = c.readsOnly(req.caller)
		return nil
	})
	if err != nil || !readsOnly {
		return err
	}
	message := "User: " + req.caller.ARN + " is not authorized to perform: " + req.service + ":" + req.action +
		" because no identity-based policy allows the " + req.service + ":" + req.action + " action"
	switch req.wire.protocol {
	case protocolEC2:
		return &apiError{Status: http.StatusForbidden, Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation. " + message}
	case protocolJSON:
		return refuse("AccessDeniedException", "%s", message)
	}
	return &apiError{Status: http.StatusForbidden, Code: "AccessDenied", Message: message}
}

// reads tells whether ReadOnlyAccess allows an action: what reads bears its name.
func reads(action string) bool {
	return slices.ContainsFunc([]string{"Describe", "Get", "List"}, func(prefix string) bool { return strings.HasPrefix(action, prefix) })
}

func (c *Cloud) readsOnly(who caller) bool {
	_, session, ok := strings.Cut(who.ARN, ":assumed-role/")
	if !ok {
		return false
	}
	name, _, _ := strings.Cut(session, "/")
	role, ok := c.iam.entities.get(world{Account: who.Account}, entityKey("role", name))
	return ok && len(role.Inline) == 0 && len(role.Attached) == 1 && strings.HasSuffix(role.Attached[0], ":aws:"+readOnlyAccess)
}
