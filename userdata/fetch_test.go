package userdata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goldline-dev/goldline/internal/tags"
)

// service is a metadata service that wants session tokens.
func service(t *testing.T, userData http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, "token-1")
	})
	mux.HandleFunc("GET /latest/user-data", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-aws-ec2-metadata-token") != "token-1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		userData(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestFetch(t *testing.T) {
	endpoint := service(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}\n") })
	for _, at := range []string{endpoint, endpoint + "/"} {
		if data, err := Fetch(t.Context(), at, nil); err != nil || string(data) != "{}\n" {
			t.Errorf("got %q, %v", data, err)
		}
	}
}

// TestTagKeys holds the keys that this package spells itself to those that
// instances carry.
func TestTagKeys(t *testing.T) {
	for key, want := range map[string]string{"address": tags.Address, "uuid": tags.UUID, "group": tags.Group, "base": tags.Base} {
		if tagSpace+key != want {
			t.Errorf("%s%s is not %s", tagSpace, key, want)
		}
	}
}

// TestOwn reads a document that instances share, before and after the instance
// has tags of its own.
func TestOwn(t *testing.T) {
	shared, err := Document{Project: "shop", Environment: "dev", Address: "instance.web"}.Render()
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{"ami-launch-index": "2", "tags/instance/goldline:group": "instance.web", "tags/instance/goldline:base": "5"}
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "token-1") })
	mux.HandleFunc("GET /latest/user-data", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(shared) })
	mux.HandleFunc("GET /latest/meta-data/", func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/latest/meta-data/")
		if path == "tags/instance/goldline:uuid" && asked.Add(1) > 1 {
			fmt.Fprint(w, "u-7") // its tag follows
			return
		}
		text, ok := paths[path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	data, err := Own(t.Context(), server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Decode(data); err != nil || d.Address != "instance.web[7]" || d.UUID != "u-7" {
		t.Errorf("got %+v, %v", d, err)
	}
	clear(paths)
	asked.Store(-100)
	if _, err := Own(t.Context(), server.URL, nil); err == nil || !strings.Contains(err.Error(), "instance_metadata_tags: enabled") {
		t.Errorf("without metadata tags: %v", err)
	}
}

func TestFetchNone(t *testing.T) {
	endpoint := service(t, http.NotFound)
	if _, err := Fetch(t.Context(), endpoint, nil); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
}

func TestFetchAsksAgain(t *testing.T) {
	var asked atomic.Int32
	endpoint := service(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "later")
	})
	if data, err := Fetch(t.Context(), endpoint, nil); err != nil || string(data) != "later" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestFetchTooMuch(t *testing.T) {
	endpoint := service(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", Limit+1)) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := Fetch(ctx, endpoint, nil); err == nil || !strings.Contains(err.Error(), "more than 16384 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestFetchStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	endpoint := service(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if _, err := Fetch(ctx, endpoint, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
