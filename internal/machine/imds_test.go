package machine

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func ask(t *testing.T, method, url string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestMetadataService(t *testing.T) {
	answers := map[string]string{"": "instance-id\nplacement/", "placement": "region", "placement/region": "eu-west-1", "dynamic/instance-identity/document": `{"region":"eu-west-1"}`}
	r := newRig(t, InProcess, func(s *Spec) {
		s.UserData = []byte("{}")
		s.Metadata = func(path string) (string, bool) { value, ok := answers[path]; return value, ok }
	})
	base := r.machine.IMDS()
	for _, ttl := range []string{"", "0", "21601", "x"} {
		if code, _ := ask(t, "PUT", base+"/latest/api/token", tokenTTLHeader, ttl); code != 400 {
			t.Errorf("a token for %q seconds: %d", ttl, code)
		}
	}
	code, token := ask(t, "PUT", base+"/latest/api/token", tokenTTLHeader, "60")
	if code != 200 {
		t.Fatalf("token: %d", code)
	}
	for _, c := range []struct {
		name, method, path, token string
		code                      int
		body                      string
	}{
		{"no token", "GET", "/latest/meta-data/", "", 401, ""},
		{"a wrong token", "GET", "/latest/meta-data/", "wrong", 401, ""},
		{"the listing", "GET", "/latest/meta-data/", token, 200, answers[""]},
		{"a folder", "GET", "/latest/meta-data/placement/", token, 200, "region"},
		{"a value", "GET", "/latest/meta-data/placement/region", token, 200, "eu-west-1"},
		{"what the machine knows itself", "GET", "/latest/meta-data/local-ipv4", token, 200, "127.0.0.1"},
		{"the document", "GET", "/latest/dynamic/instance-identity/document", token, 200, answers["dynamic/instance-identity/document"]},
		{"user data", "GET", "/latest/user-data", token, 200, "{}"},
		{"nothing", "GET", "/latest/meta-data/nothing", token, 404, ""},
		{"a write", "POST", "/latest/meta-data/", token, 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, body := ask(t, c.method, base+c.path, tokenHeader, c.token)
			if code != c.code || c.code == 200 && body != c.body {
				t.Errorf("%d %q, want %d %q", code, body, c.code, c.body)
			}
		})
	}
	r.says(`T=$(curl -sf -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" "$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/api/token")
		curl -sf -H "X-aws-ec2-metadata-token: $T" "$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/meta-data/placement/region"`, "eu-west-1")
	if _, stderr, exit := r.try("curl -s -S http://example.com/"); exit != 6 || !strings.Contains(stderr, "reaches only itself") {
		t.Errorf("curl elsewhere: %d %q", exit, stderr)
	}
}

func TestMetadataServiceWithoutUserData(t *testing.T) {
	r := newRig(t, InProcess)
	_, token := ask(t, "PUT", r.machine.IMDS()+"/latest/api/token", tokenTTLHeader, "60")
	if code, _ := ask(t, "GET", r.machine.IMDS()+"/latest/user-data", tokenHeader, token); code != 404 {
		t.Errorf("user data: %d", code)
	}
}

func TestTokenExpires(t *testing.T) {
	service := &imds{spec: &Spec{}, tokens: map[string]time.Time{}}
	service.tokens["old"] = time.Time{}
	if service.known("old") {
		t.Error("an expired token is still good")
	}
}
