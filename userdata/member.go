package userdata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tagSpace begins the keys of the tags by which an instance that shares its
// document with others learns which it is: its own come a moment after it is
// launched, the group's and the index of the first are there from its birth.
// internal/tags spells the keys for all but this package, which needs the
// standard library alone; a test compares them.
const tagSpace = "goldline:"

// memberTries is how often the instance's own UUID is asked for: its tag
// follows the launch within seconds, unless the launch was interrupted.
const memberTries = 8

// Own gives the document of the instance that it runs on: what Fetch gives,
// and, where instances share that document, with the instance's own address
// and UUID, which its metadata tags tell. Endpoint and client are those of
// Fetch.
func Own(ctx context.Context, endpoint string, client *http.Client) ([]byte, error) {
	data, err := Fetch(ctx, endpoint, client)
	if err != nil {
		return nil, err
	}
	d, err := Decode(data)
	if err != nil || d.UUID != "" {
		return data, nil // what is wrong with it its reader is told
	}
	s, err := open(ctx, endpoint, client)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if d.Address, err = s.address(ctx); err != nil {
		return nil, err
	}
	if d.UUID, err = s.patiently(ctx, tagSpace+"uuid"); err != nil {
		return nil, err
	}
	return d.Render()
}

// address is the tag's, or the group's address with the instance's own index.
func (s *session) address(ctx context.Context) (string, error) {
	own, err := s.tag(ctx, tagSpace+"address")
	if err == nil {
		return own, nil
	}
	if !missing(err) {
		return "", err
	}
	group, err := s.tag(ctx, tagSpace+"group")
	if err != nil {
		return "", noTags(err)
	}
	base, err := s.number(ctx, "tags/instance/"+tagSpace+"base")
	if err != nil {
		return "", noTags(err)
	}
	index, err := s.number(ctx, "ami-launch-index")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s[%d]", group, base+index), nil
}

func (s *session) number(ctx context.Context, path string) (int, error) {
	text, err := s.get(ctx, "/latest/meta-data/"+path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("metadata service: %s is %q and must be a number", path, text)
	}
	return n, nil
}

func (s *session) tag(ctx context.Context, key string) (string, error) {
	text, err := s.get(ctx, "/latest/meta-data/tags/instance/"+key)
	return string(text), err
}

// patiently asks for a tag until it is there.
func (s *session) patiently(ctx context.Context, key string) (string, error) {
	for try := 1; ; try++ {
		value, err := s.tag(ctx, key)
		if !missing(err) || try == memberTries {
			return value, noTags(err)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(fetchPause << min(try-1, 4)):
		}
	}
}

func missing(err error) bool {
	var status statusError
	return errors.As(err, &status) && status == http.StatusNotFound
}

func noTags(err error) error {
	if !missing(err) {
		return err
	}
	return fmt.Errorf("%w: the instance shares its user data with others, and its metadata tags, which say which it is, are not there; metadata_options needs instance_metadata_tags: enabled", err)
}
