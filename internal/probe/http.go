package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

const bodyLimit = 1 << 20 // bytes of an answer that are read

// Request is what an HTTP probe asks, and what must come back.
type Request struct {
	Port     int    // 0 is 80
	Path     string // with or without its first slash
	Status   int    // 0 is 200
	Contains string
}

// HTTP asks an instance at one of its addresses. Redirects are not followed:
// the answer itself is what counts.
func HTTP(dial Dial, ips []string, q Request) Probe {
	if q.Port == 0 {
		q.Port = 80
	}
	if q.Status == 0 {
		q.Status = http.StatusOK
	}
	if !strings.HasPrefix(q.Path, "/") {
		q.Path = "/" + q.Path
	}
	client := &http.Client{
		Transport:     &http.Transport{DialContext: dial, DisableKeepAlives: true},
		Timeout:       oneTry,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r := &road{ips: ips}
	return func(ctx context.Context) (bool, string, error) {
		return r.try(func(ip string) (answered, ok bool, saw string) {
			return ask(ctx, client, "http://"+net.JoinHostPort(ip, strconv.Itoa(q.Port))+q.Path, q)
		})
	}
}

// ask makes one request and says what came back, if anything did.
func ask(ctx context.Context, client *http.Client, address string, q Request) (answered, ok bool, saw string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, false, err.Error()
	}
	answer, err := client.Do(request)
	if err != nil {
		return false, false, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyLimit))
	switch {
	case err != nil:
		return true, false, fmt.Sprintf("%s: %v", address, err)
	case answer.StatusCode != q.Status:
		return true, false, fmt.Sprintf("%s answers %s, not %d; %s", address, answer.Status, q.Status, tail(string(body), consoleTail))
	case !strings.Contains(string(body), q.Contains):
		return true, false, fmt.Sprintf("%s answers without %q; %s", address, q.Contains, tail(string(body), consoleTail))
	}
	return true, true, ""
}
