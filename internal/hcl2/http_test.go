package hcl2

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answers is a server for data "http", which counts what it is asked.
func answers(t *testing.T, secure bool) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	release := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			w.Header().Add("X-Two", "a")
			w.Header().Add("X-Two", "b")
			_, _ = fmt.Fprintf(w, `{"method": %q, "body": %q, "token": %q, "host": %q}`, r.Method, body, r.Header.Get("X-Token"), r.Host)
		case "/binary":
			_, _ = w.Write([]byte{0xff, 0xfe})
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", httpMost+1))
		case "/down":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case "/late":
			<-release
		default:
			http.Error(w, "no", http.StatusNotFound)
		}
	}))
	if s.Config.ErrorLog = log.New(io.Discard, "", 0); secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() { close(release); s.Close() })
	return s, &asked
}

const httpTemplate = `
variable "token" { default = "s3cret" }
variable "where" { type = string }
data "http" "facts" {
  url             = "${var.where}/echo?token=${var.token}"
  method          = "POST"
  request_headers = { X-Token = var.token, Host = "facts.test" }
  request_body    = "ask"
}
data "http" "unused" { url = "http://127.0.0.1:1/" }
locals { facts = jsondecode(data.http.facts.body) }
source "amazon-ebs" "web" {
  ami_name = "${local.facts.method}-${local.facts.body}-${local.facts.token}-${local.facts.host}"
  tags = {
    Same = data.http.facts.body == data.http.facts.response_body
    Two  = "${data.http.facts.response_headers["X-Two"]} ${data.http.facts.request_headers["X-Two"]}"
    URL  = data.http.facts.url
  }
}
build { sources = ["source.amazon-ebs.web"] }
`

func TestHTTPIsAskedOnce(t *testing.T) {
	s, asked := answers(t, true)
	h := &HTTP{Transport: s.Client().Transport}
	if _, problems := evaluateText(t, httpTemplate, Input{HTTP: h, Open: true, Vars: map[string]string{"where": s.URL}}); len(problems) > 0 || asked.Load() > 0 {
		t.Errorf("before values count: %v, %d requests", problems, asked.Load())
	}
	for range 2 {
		r, problems := evaluateText(t, httpTemplate, Input{HTTP: h, Vars: map[string]string{"where": s.URL}})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		got := show(t, r.Images[0].Body)
		for _, want := range []string{"ami_name: POST-ask-s3cret-facts.test\n", "Same: true\n", "Two: a, b a, b\n", "URL: " + s.URL + "/echo?token=s3cret\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("not %q in\n%s", want, got)
			}
		}
	}
	if asked.Load() != 1 {
		t.Errorf("%d requests", asked.Load())
	}
}

func TestHTTPGoesWrong(t *testing.T) {
	plain, _ := answers(t, false)
	secure, _ := answers(t, true)
	for _, c := range []struct{ arguments, want string }{
		{`url = "` + plain.URL + `/gone?token=s3cret"`, `2:7: data source "http.x": GET from ` + plain.Listener.Addr().String() + `: the server answers 404 Not Found`},
		{`url = "` + plain.URL + `/binary"`, "no text in UTF-8"},
		{`url = "` + plain.URL + `/large"`, "larger than 4 MiB"},
		{`url = "` + plain.URL + `/late?token=s3cret"`, "no answer within 50ms"},
		{`url = "http://127.0.0.1:1/?token=s3cret"`, "GET from 127.0.0.1:1: dial tcp"},
		{`url = "file:///etc/passwd"`, "url is no http or https address"},
		{`method = "GET"`, `data source "http" needs url`},
		{`url = "` + plain.URL + `", method = "TRACE"`, `no HTTP method "TRACE"`},
		{`url = "` + plain.URL + `", request_headers = ["a"]`, "request_headers: map of string required"},
		{`url = "` + plain.URL + `", headers = {}`, `unknown key "headers"`},
		{`url = "` + secure.URL + `/echo?token=s3cret"`, "failed to verify certificate"},
	} {
		_, problems := evaluateText(t, httpSourceOf(c.arguments), Input{HTTP: &HTTP{Limit: limitOf(c.want)}})
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, not %s", c.arguments, err, c.want)
		}
	}
	_, problems := evaluateText(t, httpSourceOf(`url = "`+secure.URL+`/down"`), Input{HTTP: &HTTP{Transport: secure.Client().Transport}})
	if err := problems.Err(); err == nil || !strings.Contains(err.Error(), "redirects from https to http, at 127.0.0.1:1") {
		t.Error(err)
	}
}

// limitOf is short for the request alone that nobody answers.
func limitOf(want string) time.Duration {
	if strings.Contains(want, "50ms") {
		return 50 * time.Millisecond
	}
	return 0
}

func httpSourceOf(arguments string) string {
	return "data \"http\" \"x\" {\n" + strings.ReplaceAll(arguments, ", ", "\n") + "\n}\n" +
		"source \"amazon-ebs\" \"web\" { ami_name = data.http.x.body }\nbuild { sources = [\"source.amazon-ebs.web\"] }\n"
}
