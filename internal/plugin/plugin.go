// Package plugin lets Packer's installed plugins work for Goldline. It finds
// their binaries where Packer looks for them, asks one what it is, starts it and
// speaks the RPC protocol of Packer's plugin SDK with it: net/rpc with msgpack
// over yamux streams. It needs nothing of that SDK, whose own client cannot be
// compiled without replacing a module. A plugin never outlives the process that
// started it.
package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/leash"
)

// Plugin is one installed binary.
type Plugin struct {
	Name    string // what stands behind packer-plugin-
	Path    string
	Version string // "1.0.2", from its file's name; empty where it has none
}

// description is what `describe` prints.
type description struct {
	Version      string   `json:"version"`
	APIVersion   string   `json:"api_version"`
	Provisioners []string `json:"provisioners"`
}

// unnamed is how a plugin describes the component that bears its own name.
const unnamed = "-packer-default-plugin-name-"

// describeTime is how long a plugin may take to say what it is, and to say where
// it listens.
const describeTime = 30 * time.Second

// Component is the provisioner that a type names in a plugin that is called
// alias: "puppet-masterless" is masterless in the plugin puppet.
func (p Plugin) Component(ctx context.Context, alias, kind string) (string, error) {
	said, err := p.describe(ctx)
	if err != nil {
		return "", err
	}
	component := unnamed
	if kind != alias {
		component = strings.TrimPrefix(kind, alias+"-")
	}
	if slices.Contains(said.Provisioners, component) {
		return component, nil
	}
	var known []string
	for _, c := range said.Provisioners {
		if c == unnamed {
			known = append(known, alias)
		} else {
			known = append(known, alias+"-"+c)
		}
	}
	if len(known) == 0 {
		return "", fmt.Errorf("plugin %s has no provisioner", p.Path)
	}
	return "", fmt.Errorf("plugin %s has no provisioner %q: it has %s", p.Path, kind, strings.Join(known, ", "))
}

func (p Plugin) describe(ctx context.Context) (description, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTime)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Path, "describe")
	cmd.Env, cmd.Stdout, cmd.Stderr = os.Environ(), &out, &errs
	err := leash.Run(cmd)
	var said description
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &said)
	}
	if err != nil {
		if text := strings.TrimSpace(errs.String()); text != "" {
			err = fmt.Errorf("%w: %s", err, text[:min(len(text), 300)])
		}
		return said, fmt.Errorf("ask plugin %s what it is: %w", p.Path, err)
	}
	return said, checkAPI(p.Path, strings.TrimPrefix(said.APIVersion, "x"))
}

// errAPI says that a plugin speaks another protocol.
var errAPI = errors.New("plugin protocol")

// checkAPI refuses what is not protocol 5. Its minor versions only add
// components of other kinds.
func checkAPI(path, version string) error {
	if major, _, _ := strings.Cut(version, "."); major != "5" {
		return fmt.Errorf("plugin %s speaks %w %q, and only 5 is known", path, errAPI, version)
	}
	return nil
}
