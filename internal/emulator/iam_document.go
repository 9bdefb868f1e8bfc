package emulator

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
)

func malformedDocument(format string, args ...any) error {
	return refuse("MalformedPolicyDocument", format, args...)
}

// size is a document's length as IAM counts it: without whitespace.
func size(document string) int {
	return len(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, document))
}

// maxTrust is the size of a role's trust policy.
const maxTrust = 2048

// checkDocument refuses what is no policy: one of trust, which says who, or one
// of permissions, which says on what.
func checkDocument(document string, trust bool) error {
	var p struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	d := json.NewDecoder(strings.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || d.More() {
		return malformedDocument("Syntax errors in policy.")
	}
	if p.Version != "" && p.Version != "2012-10-17" && p.Version != "2008-10-17" {
		return malformedDocument("The policy must contain a valid version string")
	}
	if trust && size(document) > maxTrust {
		return limitExceeded("ACLSizePerRole", maxTrust)
	}
	text := bytes.TrimSpace(p.Statement)
	var statements []map[string]json.RawMessage
	if len(text) > 0 && text[0] == '{' {
		text = append(append([]byte{'['}, text...), ']')
	}
	if json.Unmarshal(text, &statements) != nil || len(statements) == 0 {
		return malformedDocument("Syntax errors in policy.")
	}
	for _, s := range statements {
		if err := checkStatement(s, trust); err != nil {
			return err
		}
	}
	return nil
}

var statementKeys = map[string]bool{
	"Sid": true, "Effect": true, "Action": true, "NotAction": true, "Resource": true, "NotResource": true,
	"Principal": true, "NotPrincipal": true, "Condition": true,
}

func checkStatement(s map[string]json.RawMessage, trust bool) error {
	has := func(keys ...string) bool {
		for _, k := range keys {
			if _, ok := s[k]; ok {
				return true
			}
		}
		return false
	}
	for k := range s {
		if !statementKeys[k] {
			return malformedDocument("Syntax errors in policy.")
		}
	}
	if effect := string(s["Effect"]); effect != `"Allow"` && effect != `"Deny"` {
		return malformedDocument("Syntax errors in policy.")
	}
	switch {
	case !has("Action", "NotAction"):
		return malformedDocument("Policy statement must contain actions.")
	case trust && has("Resource", "NotResource"):
		return malformedDocument("Has prohibited field Resource")
	case trust && !has("Principal", "NotPrincipal"):
		return malformedDocument("AssumeRole policy must contain principals.")
	case !trust && has("Principal", "NotPrincipal"):
		return malformedDocument("Policy document should not specify a principal.")
	case !trust && !has("Resource", "NotResource"):
		return malformedDocument("Policy statement must contain resources.")
	}
	return nil
}
