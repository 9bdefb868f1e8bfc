package machine

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// imds is the instance metadata service, version 2 only: a session token is
// put first, then sent along with each request.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
type imds struct {
	spec   *Spec
	server *http.Server
	addr   net.Addr

	mu     sync.Mutex
	tokens map[string]time.Time // token to the end of its life
}

const (
	tokenTTLHeader = "X-aws-ec2-metadata-token-ttl-seconds"
	tokenHeader    = "X-aws-ec2-metadata-token"
	maxTokenTTL    = 21600 // seconds: six hours
)

func newIMDS(spec *Spec, listener net.Listener) *imds {
	service := &imds{spec: spec, addr: listener.Addr(), tokens: map[string]time.Time{}}
	service.server = &http.Server{Handler: service, ReadHeaderTimeout: 10 * time.Second}
	return service
}

// url is the base that clients are pointed at.
func (s *imds) url() string {
	host, port, err := net.SplitHostPort(s.addr.String())
	if err != nil {
		return "http://" + s.addr.String()
	}
	if port == "80" {
		return "http://" + host
	}
	return "http://" + net.JoinHostPort(host, port)
}

func (s *imds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "EC2ws")
	if r.URL.Path == "/latest/api/token" {
		s.token(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	if !s.known(r.Header.Get(tokenHeader)) {
		refuse(w, http.StatusUnauthorized)
		return
	}
	body, ok := s.answer(r.URL.Path)
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // a client that has gone needs no answer
	}
}

func (s *imds) token(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodPut:
		refuse(w, http.StatusMethodNotAllowed)
		return
	case r.Header.Get("X-Forwarded-For") != "": // an open proxy must not hand out tokens
		refuse(w, http.StatusForbidden)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(tokenTTLHeader))
	if err != nil || ttl < 1 || ttl > maxTokenTTL {
		refuse(w, http.StatusBadRequest)
		return
	}
	raw := make([]byte, 28)
	_, _ = rand.Read(raw) // never fails
	token := hex.EncodeToString(raw)
	now := time.Now()
	s.mu.Lock()
	for old, end := range s.tokens {
		if now.After(end) {
			delete(s.tokens, old)
		}
	}
	s.tokens[token] = now.Add(time.Duration(ttl) * time.Second)
	s.mu.Unlock()
	w.Header().Set(tokenTTLHeader, strconv.Itoa(ttl))
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte(token))
}

func (s *imds) known(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, ok := s.tokens[token]
	return ok && time.Now().Before(end)
}

// answer finds what stands at a path.
func (s *imds) answer(p string) ([]byte, bool) {
	switch p = strings.TrimPrefix(path.Clean(p), "/"); p {
	case "":
		return []byte("latest"), true
	case "latest":
		return []byte("dynamic\nmeta-data\nuser-data"), true
	case "latest/user-data":
		return s.spec.UserData, len(s.spec.UserData) > 0
	case "latest/dynamic":
		return []byte("instance-identity/"), true
	case "latest/dynamic/instance-identity":
		return []byte("document"), true
	}
	if rest, ok := strings.CutPrefix(p, "latest/dynamic/"); ok {
		return s.metadata("dynamic/" + rest)
	}
	if p == "latest/meta-data" {
		return s.metadata("")
	}
	if rest, ok := strings.CutPrefix(p, "latest/meta-data/"); ok {
		return s.metadata(rest)
	}
	return nil, false
}

// metadata asks the machine's owner first and falls back on what the machine
// knows of itself.
func (s *imds) metadata(p string) ([]byte, bool) {
	if s.spec.Metadata != nil {
		if value, ok := s.spec.Metadata(p); ok {
			return []byte(value), true
		}
	}
	switch p {
	case "":
		return []byte("hostname\ninstance-id\nlocal-hostname\nlocal-ipv4"), true
	case "instance-id":
		return []byte(s.spec.ID), true
	case "local-ipv4":
		return []byte(s.spec.Address.String()), s.spec.Address.IsValid()
	case "hostname", "local-hostname":
		return []byte(s.spec.Hostname), s.spec.Hostname != ""
	}
	return nil, false
}

func refuse(w http.ResponseWriter, status int) {
	http.Error(w, fmt.Sprintf("%d - %s", status, http.StatusText(status)), status)
}
