package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// tokenRow remembers a client token: what was asked for with it, and what was
// made, so that the same call again makes nothing again.
type tokenRow struct {
	Asked string // a digest of the call
	Made  []string
}

const maxToken = 64

// replayed says whether a call with a client token was carried out before, and
// what it made then. The same token with other parameters is refused. scope
// is the action and whatever else tokens are kept apart by.
func (s *ec2Service) replayed(c apiCall, scope string, token *string, in any) (made []string, done bool, err error) {
	if deref(token) == "" {
		return nil, false, nil
	}
	if len(*token) > maxToken {
		return nil, false, refuse("InvalidParameterValue", "Value (%s) for parameter clientToken is invalid. Length exceeds maximum of %d.", *token, maxToken)
	}
	row, ok := s.tokens.get(c.w, scope+" "+*token)
	if !ok {
		return nil, false, nil
	}
	if row.Asked != digest(in) {
		return nil, false, refuse("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	return row.Made, true, nil
}

// remember keeps what a call with a client token made.
func (s *ec2Service) remember(c apiCall, scope string, token *string, in any, made ...string) {
	if deref(token) != "" {
		s.tokens.put(c.w, scope+" "+*token, tokenRow{Asked: digest(in), Made: made})
	}
}

// digest tells calls apart by their parameters.
func digest(in any) string {
	text, err := json.Marshal(in)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
