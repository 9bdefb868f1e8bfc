//go:build !linux

package machine

// Only Linux has overlays, and file attributes that images need.

func copyLabels(_, _ string) error { return nil }

func isOpaque(string) bool { return false }
