package emulator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// defaultAccount is the account of every access key that names no other.
const defaultAccount = "000000000000"

// session is a set of temporary credentials that STS gave out. Their secret is
// not kept: no signature is verified.
type session struct {
	Key     string
	Account string
	ARN     string
	UserID  string
	Expires time.Time
}

// keepExpired is how long expired credentials are still told from unknown ones.
const keepExpired = 24 * time.Hour

var (
	accountID   = regexp.MustCompile(`^[0-9]{12}$`)
	roleARN     = regexp.MustCompile(`^arn:aws:iam::([0-9]{12}):role/(?:[!-~]+/)?([\w+=,.@-]{1,64})$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// newSTS adds the actions of STS and the table of its sessions.
func newSTS(c *Cloud) {
	c.sessions = newTable[session](c.store, "sts-sessions")
	handle(c.registry, "sts", "GetCallerIdentity", c.getCallerIdentity)
	handle(c.registry, "sts", "AssumeRole", c.assumeRole)
	handle(c.registry, "sts", "GetSessionToken", c.getSessionToken)
}

// identify finds the account and the identity that an access key stands for.
func (c *Cloud) identify(req *request, s scope, r *http.Request) (caller, error) {
	who := caller{Account: defaultAccount, Region: s.region}
	if strings.HasPrefix(s.key, "ASIA") {
		return c.identifySession(req, s, r, who)
	}
	if accountID.MatchString(s.key) {
		who.Account = s.key
	}
	who.ARN, who.UserID = "arn:aws:iam::"+who.Account+":root", who.Account
	return who, nil
}

func (c *Cloud) identifySession(req *request, s scope, r *http.Request, who caller) (caller, error) {
	var kept session
	var known bool
	err := c.store.transact(func() error {
		kept, known = c.sessions.get(world{}, s.key)
		return nil
	})
	if err != nil {
		return who, err
	}
	token := r.Header.Get("X-Amz-Security-Token") + r.URL.Query().Get("X-Amz-Security-Token")
	if !known || token == "" {
		return who, req.wire.unknownToken()
	}
	if !c.clock.Now().Before(kept.Expires) {
		return who, req.wire.expiredToken()
	}
	who.Account, who.ARN, who.UserID = kept.Account, kept.ARN, kept.UserID
	return who, nil
}

func (w *wire) unknownToken() error {
	switch w.protocol {
	case protocolEC2:
		return &apiError{Status: http.StatusUnauthorized, Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials"}
	case protocolQuery, protocolREST:
		return &apiError{Status: http.StatusForbidden, Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."}
	}
	return refuse("UnrecognizedClientException", "The security token included in the request is invalid.")
}

func (w *wire) expiredToken() error {
	switch w.protocol {
	case protocolEC2:
		return refuse("RequestExpired", "Request has expired.")
	case protocolQuery, protocolREST:
		return &apiError{Status: http.StatusForbidden, Code: "ExpiredToken", Message: "The security token included in the request is expired"}
	}
	return refuse("ExpiredTokenException", "The security token included in the request is expired")
}

func (c *Cloud) getCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	who := callerOf(ctx)
	return &sts.GetCallerIdentityOutput{Account: &who.Account, Arn: &who.ARN, UserId: &who.UserID}, nil
}

// assumeRole gives credentials of a role. Every role exists in every account,
// and every caller may assume it: the local cloud evaluates no policies, but for
// the one that permitted knows.
func (c *Cloud) assumeRole(_ context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	role := roleARN.FindStringSubmatch(*in.RoleArn)
	switch {
	case role == nil:
		return nil, refuse("ValidationError", "%s is invalid", *in.RoleArn)
	case !sessionName.MatchString(*in.RoleSessionName):
		return nil, refuse("ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", *in.RoleSessionName)
	case in.SerialNumber != nil || in.TokenCode != nil || in.Policy != nil || in.PolicyArns != nil || in.ProvidedContexts != nil:
		return nil, refuse("ValidationError", "The local cloud has no MFA, session policies or contexts for AssumeRole")
	}
	sum := sha256.Sum256([]byte(*in.RoleArn))
	id := "AROA" + base32.StdEncoding.EncodeToString(sum[:])[:17] + ":" + *in.RoleSessionName
	arn := "arn:aws:sts::" + role[1] + ":assumed-role/" + role[2] + "/" + *in.RoleSessionName
	given, err := c.giveCredentials(session{Account: role[1], ARN: arn, UserID: id}, in.DurationSeconds, time.Hour)
	if err != nil {
		return nil, err
	}
	return &sts.AssumeRoleOutput{
		Credentials:     given,
		AssumedRoleUser: &types.AssumedRoleUser{Arn: &arn, AssumedRoleId: &id},
		SourceIdentity:  in.SourceIdentity,
	}, nil
}

func (c *Cloud) getSessionToken(ctx context.Context, in *sts.GetSessionTokenInput) (*sts.GetSessionTokenOutput, error) {
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, refuse("ValidationError", "The local cloud has no MFA")
	}
	who := callerOf(ctx)
	given, err := c.giveCredentials(session{Account: who.Account, ARN: who.ARN, UserID: who.UserID}, in.DurationSeconds, 12*time.Hour)
	if err != nil {
		return nil, err
	}
	return &sts.GetSessionTokenOutput{Credentials: given}, nil
}

// Bounds of DurationSeconds in the reference of AssumeRole.
const (
	shortestSession = 15 * time.Minute
	longestSession  = 12 * time.Hour
)

func (c *Cloud) giveCredentials(s session, seconds *int32, usual time.Duration) (*types.Credentials, error) {
	lasts := usual
	if seconds != nil {
		lasts = time.Duration(*seconds) * time.Second
	}
	if lasts < shortestSession || lasts > longestSession {
		return nil, refuse("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must be from 900 to 43200", *seconds)
	}
	now := c.clock.Now()
	for _, old := range c.sessions.all(world{}) {
		if now.After(old.Expires.Add(keepExpired)) {
			c.sessions.remove(world{}, old.Key)
		}
	}
	s.Key = "ASIA" + base32.StdEncoding.EncodeToString(randomBytes(10))
	s.Expires = now.Add(lasts).UTC().Truncate(time.Second)
	c.sessions.put(world{}, s.Key, s)
	secret := base64.StdEncoding.EncodeToString(randomBytes(30))
	token := base64.StdEncoding.EncodeToString(randomBytes(96))
	return &types.Credentials{AccessKeyId: &s.Key, SecretAccessKey: &secret, SessionToken: &token, Expiration: &s.Expires}, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
