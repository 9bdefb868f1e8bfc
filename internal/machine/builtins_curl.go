package machine

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

func netBuiltins() map[string]builtin { return map[string]builtin{"curl": runCurl} }

// runCurl reaches the machine's own metadata service and address, nothing else:
// an in-process machine has no network of its own.
func runCurl(c *call) int {
	o, ok := c.parse("sSfLX:H:o:d:IivkOw:m:A:G", "silent", "show-error", "fail", "location", "request:", "header:", "output:", "data:", "head", "include",
		"retry:", "retry-delay:", "max-time:", "connect-timeout:", "noproxy:", "write-out:", "insecure", "retry-connrefused", "retry-all-errors", "fail-with-body")
	if !ok {
		return 2
	}
	if len(o.rest) != 1 {
		c.errorf("(2) exactly one URL is taken")
		return 2
	}
	target := o.rest[0]
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	address, err := url.Parse(target)
	if err != nil {
		c.errorf("(3) URL malformed")
		return 3
	}
	if address.Host == "169.254.169.254" { // the metadata service's address on EC2
		if own, err := url.Parse(c.g.m.imds.url()); err == nil {
			address.Host = own.Host
		}
	}
	if !c.ownAddress(address.Hostname()) {
		c.errorf("(6) Could not resolve host: %s (an in-process machine reaches only itself)", address.Hostname())
		return 6
	}
	method := pick(o.has("I", "head"), http.MethodHead, http.MethodGet)
	var body io.Reader
	if data := append(o.set["d"], o.set["data"]...); len(data) > 0 {
		method, body = http.MethodPost, strings.NewReader(strings.Join(data, "&"))
	}
	if given := o.get("X", "request"); given != "" {
		method = given
	}
	request, err := http.NewRequestWithContext(c.ctx, method, address.String(), body)
	if err != nil {
		c.errorf("(3) %v", err)
		return 3
	}
	for _, header := range append(o.set["H"], o.set["header"]...) {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return c.transfer(o, request)
}

func (c *call) ownAddress(host string) bool {
	own, err := url.Parse(c.g.m.imds.url())
	return host == "localhost" || host == c.g.m.spec.Address.String() || err == nil && host == own.Hostname()
}

func (c *call) transfer(o options, request *http.Request) int {
	client := &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{ // no proxy, and no other host by way of a redirect
			DisableKeepAlives: true,
			DialContext:       (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(next *http.Request, _ []*http.Request) error {
			if !o.has("L", "location") || !c.ownAddress(next.URL.Hostname()) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	if limit, err := seconds(o.get("m", "max-time")); err == nil {
		client.Timeout = limit
	}
	response, err := client.Do(request)
	if err != nil {
		if !o.has("s", "silent") || o.has("S", "show-error") {
			c.errorf("(7) Failed to connect to %s", request.URL.Host)
		}
		return 7
	}
	defer response.Body.Close()
	if o.has("f", "fail") && response.StatusCode >= 400 {
		if !o.has("s", "silent") || o.has("S", "show-error") {
			c.errorf("(22) The requested URL returned error: %d", response.StatusCode)
		}
		return 22
	}
	out := c.out
	name := o.get("o", "output")
	if o.has("O") {
		name = path.Base(request.URL.Path)
	}
	if name != "" && name != "-" {
		file, err := c.open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
		if err != nil {
			c.fail(name, err)
			return 23
		}
		defer file.Close()
		out = file
	}
	if o.has("i", "I", "include", "head") {
		fmt.Fprintf(out, "%s %s\n", response.Proto, response.Status)
		_ = response.Header.Write(out)
		fmt.Fprintln(out)
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		return 56
	}
	if format := o.get("w", "write-out"); format != "" {
		fmt.Fprint(c.out, strings.NewReplacer("%{http_code}", strconv.Itoa(response.StatusCode), "%{response_code}", strconv.Itoa(response.StatusCode), `\n`, "\n").Replace(format))
	}
	return 0
}
