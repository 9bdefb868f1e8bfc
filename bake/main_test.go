package bake

import (
	"io"
	"log"
	"os"
	"testing"
)

// The SDK's communicator writes to the process's log.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}
