package emulator

import (
	"encoding/base64"
	"errors"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// consoleTail is how much of a console EC2 hands out.
const consoleTail = 64 << 10

func (s *ec2Service) getConsoleOutput(c apiCall, in *ec2.GetConsoleOutputInput) (*ec2.GetConsoleOutputOutput, error) {
	row, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	out := &ec2.GetConsoleOutputOutput{InstanceId: new(row.ID), Timestamp: new(c.now)}
	text, err := tail(s.hosts.consoleFile(row.ID), consoleTail)
	if err != nil {
		return nil, err
	}
	if len(text) > 0 {
		out.Output = new(base64.StdEncoding.EncodeToString(text))
	}
	return out, nil
}

// tail is the end of a file, nothing if there is no file.
func tail(name string, size int64) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-size), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}
