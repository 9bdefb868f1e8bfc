package emulator

import "io/fs"

// own does nothing: files' owners don't carry over here.
func own(string, fs.FileInfo) error { return nil }
