package bake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/tags"
)

// toolURL names this program in documents for others.
const toolURL = "https://github.com/goldline-dev/goldline"

// The part of an in-toto statement with SLSA provenance that a bake has to tell.
// https://slsa.dev/spec/v1.0/provenance
type (
	statement struct {
		Type          string     `json:"_type"`
		Subject       []resource `json:"subject"`
		PredicateType string     `json:"predicateType"`
		Predicate     predicate  `json:"predicate"`
	}
	resource struct {
		Name        string            `json:"name,omitempty"`
		URI         string            `json:"uri,omitempty"`
		Digest      map[string]string `json:"digest,omitempty"`
		MediaType   string            `json:"mediaType,omitempty"`
		Annotations map[string]any    `json:"annotations,omitempty"`
	}
	predicate struct {
		BuildDefinition buildDefinition `json:"buildDefinition"`
		RunDetails      runDetails      `json:"runDetails"`
	}
	buildDefinition struct {
		BuildType            string            `json:"buildType"`
		ExternalParameters   map[string]string `json:"externalParameters"`
		ResolvedDependencies []resource        `json:"resolvedDependencies"`
	}
	runDetails struct {
		Builder    builderOf         `json:"builder"`
		Metadata   map[string]string `json:"metadata"`
		Byproducts []resource        `json:"byproducts,omitempty"`
	}
	builderOf struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version,omitempty"`
	}
)

// ProvenanceFile is where a document of a build is kept below the project's
// folder, by its SHA-256 in hexadecimal, which stands in a tag of the AMI.
func ProvenanceFile(dir, digest string) string {
	return filepath.Join(dir, ledger.Folder, "provenance", digest+".json")
}

// describeBuild writes the documents about the AMI that is about to be made, and
// gives the tags that tie it to them. It is no failure when that does not work.
func (b *bake) describeBuild(ctx context.Context) map[string]string {
	set := map[string]string{}
	list, err := b.spdx(b.amiName)
	if err == nil && len(list) > 0 {
		set[tags.Packages], err = b.keep(list)
	}
	if err == nil {
		var text []byte
		if text, err = json.MarshalIndent(b.statement(ctx, set[tags.Packages]), "", " "); err == nil {
			set[tags.Provenance], err = b.keep(text)
		}
	}
	if err != nil {
		b.say(event.Warning, "where the image comes from could not be kept: %v", err)
	}
	for key, digest := range set {
		if digest == "" {
			delete(set, key)
		}
	}
	return set
}

// keep writes a document, whole or not at all, and gives its digest.
func (b *bake) keep(text []byte) (string, error) {
	text = []byte(b.hide.text(string(text)))
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	path := ProvenanceFile(b.options.Dir, digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return digest, nil
}

// statement says of which inputs, by what and when the AMI was made. Its subject
// is the AMI's name, which is unique in its account and region: the AMI has no ID
// yet, and no digest but that of its inputs. Inputs that hold secrets are left
// out.
func (b *bake) statement(ctx context.Context, packagesDigest string) statement {
	region, account := b.cloud.Region, b.cloud.Account
	s := statement{
		Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1",
		Subject: []resource{{Name: fmt.Sprintf("aws:ec2:%s:%s:image/%s", region, account, b.amiName), Digest: map[string]string{"goldlineFingerprint": b.fingerprint}}},
	}
	d := &s.Predicate.BuildDefinition
	d.BuildType = toolURL + "/bake@v1"
	d.ExternalParameters = map[string]string{"project": b.options.Project, "environment": b.options.Environment, "image": b.image.Name, "version": b.version, "recipe": b.image.File}
	d.ResolvedDependencies = []resource{{
		Name: "source image", URI: fmt.Sprintf("aws:ec2:%s:%s:image/%s", region, aws.ToString(b.source.OwnerId), aws.ToString(b.source.ImageId)),
		Annotations: map[string]any{"name": aws.ToString(b.source.Name), "created": aws.ToString(b.source.CreationDate)},
	}}
	if len(b.bases) > 0 {
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{
			Name: "step image", URI: fmt.Sprintf("aws:ec2:%s:%s:image/%s", region, account, b.bases[0].id()),
			Annotations: map[string]any{"provisioner": b.startsAfter()}, Digest: map[string]string{"goldlineDigest": b.bases[0].fingerprint},
		})
	}
	if text, err := os.ReadFile(filepath.Join(b.options.Dir, b.image.File)); err == nil {
		sum := sha256.Sum256(text)
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{Name: "recipe", URI: b.image.File, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}})
	}
	if commit, err := b.commitID(ctx); err == nil && commit.id != "" {
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{Name: "repository", Digest: map[string]string{"gitCommit": commit.id}, Annotations: map[string]any{"changed": commit.changed}})
	}
	for _, in := range b.inputs {
		if !in.secret {
			d.ResolvedDependencies = append(d.ResolvedDependencies, resource{Name: "input: " + in.Name, Digest: map[string]string{"goldlineDigest": in.Digest}})
		}
	}
	r := &s.Predicate.RunDetails
	r.Builder = builderOf{ID: toolURL, Version: map[string]string{"goldline": orText(b.options.ToolVersion, "unknown")}}
	r.Metadata = map[string]string{"invocationId": b.options.Run, "startedOn": b.started.Format(time.RFC3339), "finishedOn": time.Now().UTC().Format(time.RFC3339)}
	if packagesDigest != "" {
		r.Byproducts = []resource{{Name: "packages", MediaType: "application/spdx+json", Digest: map[string]string{"sha256": packagesDigest}}}
	}
	return s
}

// commit is what a project's folder is in git.
type commit struct {
	id      string // empty where it is in none
	changed bool   // it differs from the commit
}

// gitTime is how long git may take to say it.
const gitTime = 5 * time.Second

// commitID asks git once for all bakes.
func (b *Baker) commitID(ctx context.Context) (commit, error) {
	return b.commit.get(ctx, func(ctx context.Context) (commit, error) { return commitOf(ctx, b.options.Dir), nil })
}

func commitOf(ctx context.Context, dir string) commit {
	ctx, cancel := context.WithTimeout(ctx, gitTime)
	defer cancel()
	ask := func(args ...string) (string, bool) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "--no-optional-locks"}, args...)...).Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	id, ok := ask("rev-parse", "--verify", "HEAD")
	if !ok {
		return commit{}
	}
	status, ok := ask("status", "--porcelain", "--", ".")
	return commit{id: id, changed: !ok || status != ""}
}
