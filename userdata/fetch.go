package userdata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// EndpointVariable is the environment variable that names another metadata
// service than EC2's; the AWS SDKs read the same one.
const EndpointVariable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"

// DefaultEndpoint is the metadata service on every EC2 instance.
const DefaultEndpoint = "http://169.254.169.254"

// ErrNone says that the instance was launched without user data.
var ErrNone = errors.New("this instance has no user data")

// fetchTries and fetchPause: early in a boot the service may not answer yet.
const (
	fetchTries = 4
	fetchPause = 200 * time.Millisecond
)

// Fetch asks the metadata service of the instance that it runs on for its user
// data, as IMDSv2 wants it: with a session token. An empty endpoint is EC2's
// own, a nil client one that uses no proxy and waits 2 s for an answer. What does
// not answer is asked four times.
func Fetch(ctx context.Context, endpoint string, client *http.Client) ([]byte, error) {
	s, err := open(ctx, endpoint, client)
	if err != nil {
		return nil, err
	}
	defer s.close()
	data, err := s.get(ctx, "/latest/user-data")
	if missing(err) {
		return nil, ErrNone
	}
	return data, err
}

// session is a session with the metadata service.
type session struct {
	client   *http.Client
	endpoint string
	token    string
	own      bool // the client is the session's
}

func open(ctx context.Context, endpoint string, client *http.Client) (*session, error) {
	s := &session{client: client, endpoint: strings.TrimRight(endpoint, "/"), own: client == nil}
	if endpoint == "" {
		s.endpoint = DefaultEndpoint
	}
	if s.own {
		// The service is on the link: a proxy could only hand out another's data.
		s.client = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{}}
	}
	token, err := ask(ctx, s.client, http.MethodPut, s.endpoint+"/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
	if err != nil {
		s.close()
		return nil, fmt.Errorf("metadata service at %s: session token: %w", s.endpoint, err)
	}
	s.token = string(token)
	return s, nil
}

func (s *session) close() {
	if s.own {
		s.client.CloseIdleConnections()
	}
}

func (s *session) get(ctx context.Context, path string) ([]byte, error) {
	data, err := ask(ctx, s.client, http.MethodGet, s.endpoint+path, "X-aws-ec2-metadata-token", s.token)
	if err != nil {
		return nil, fmt.Errorf("metadata service at %s: %s: %w", s.endpoint, strings.TrimPrefix(path, "/latest/"), err)
	}
	return data, nil
}

var errTooMuch = fmt.Errorf("more than %d bytes came", Limit)

// statusError is an answer other than 200.
type statusError int

func (s statusError) Error() string {
	return fmt.Sprintf("answered %d %s", int(s), http.StatusText(int(s)))
}

// ask repeats a request for as long as an answer may still come.
func ask(ctx context.Context, client *http.Client, method, url, header, value string) ([]byte, error) {
	for try := 1; ; try++ {
		data, err := once(ctx, client, method, url, header, value)
		var status statusError
		final := errors.As(err, &status) && status < 500 && status != http.StatusTooManyRequests
		if err == nil || final || errors.Is(err, errTooMuch) || try == fetchTries {
			return data, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(fetchPause << (try - 1)):
		}
	}
}

func once(ctx context.Context, client *http.Client, method, url, header, value string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set(header, value)
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, statusError(answer.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, Limit+1))
	if err == nil && len(data) > Limit {
		err = errTooMuch
	}
	return data, err
}
