package emulator

import (
	"regexp"
	"strings"
)

var (
	parameterName  = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)
	parameterLabel = regexp.MustCompile(`^[a-zA-Z_.\-][a-zA-Z0-9_.\-]{0,99}$`)
)

const (
	maxParameterName = 1011 // characters, with the ARN's prefix 2048 bytes
	maxHierarchy     = 15
)

// checkNewName checks the name of a parameter that is to be written.
func checkNewName(name string) error {
	first := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case name == "" || len(name) > maxParameterName:
		return ssmInvalid("Parameter name must have between 1 and %d characters.", maxParameterName)
	case !parameterName.MatchString(name) || strings.HasPrefix(first, "ssm") || strings.Contains(name, "//") || strings.HasSuffix(name, "/"):
		return ssmInvalid(`Parameter name: can't be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`)
	case strings.HasPrefix(first, "aws"):
		return refuse("AccessDeniedException", "No access to reserved parameter name: %s.", name)
	case strings.Contains(name, "/") && name[0] != '/':
		return ssmInvalid("Parameter name must be a fully qualified name.")
	case strings.Count(name, "/") > maxHierarchy:
		return refuse("HierarchyLevelLimitExceededException", "Hierarchy depth %d exceeds the limit of %d.", strings.Count(name, "/"), maxHierarchy)
	}
	return nil
}

// splitSelector parts a name as readers give it, which may be an ARN, and may
// end in a version or label after a colon.
func splitSelector(w world, name string) (plain, selector string) {
	if arn := "arn:aws:ssm:" + w.Region + ":" + w.Account + ":parameter"; strings.HasPrefix(name, arn+"/") {
		name = strings.TrimPrefix(name, arn)
		if strings.Count(name, "/") == 1 {
			name = name[1:]
		}
	}
	plain, selector, _ = strings.Cut(name, ":")
	return plain, selector
}
