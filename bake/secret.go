package bake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goldline-dev/goldline/internal/ledger"
)

// sealInputs replaces the digests of what holds secrets by keyed ones, in a list
// of its own. The fingerprint, which is to be the same on every machine, is made
// of the plain ones before.
func sealInputs(dir string, inputs []Input) ([]Input, error) {
	sealed := append([]Input(nil), inputs...)
	var key []byte
	for i := range sealed {
		if !sealed[i].secret {
			continue
		}
		if key == nil {
			var err error
			if key, err = digestKey(dir); err != nil {
				return nil, fmt.Errorf("key for digests of secrets: %w", err)
			}
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(sealed[i].Digest))
		sealed[i].Digest = hex.EncodeToString(mac.Sum(nil))
	}
	return sealed, nil
}

// digestKey is the project's key on this machine, made when it is first needed.
func digestKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, ledger.Folder, "digest.key")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // with mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(key)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	// A link never replaces: of two that make the key at once, one wins, whole.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}
