package fail

import (
	"fmt"

	"github.com/hashicorp/go-multierror"
)

// Each puts a noun before an error, or before each of those that it joins, so
// that they stay errors of their own.
func Each(noun string, err error) error {
	joined, ok := err.(*multierror.Error)
	if !ok {
		if err == nil {
			return nil
		}
		return fmt.Errorf("%s: %w", noun, err)
	}
	all := make([]error, len(joined.Errors))
	for i, e := range joined.Errors {
		all[i] = fmt.Errorf("%s: %w", noun, e)
	}
	return Join(all...)
}
