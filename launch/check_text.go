package launch

import (
	"regexp"

	"github.com/goldline-dev/goldline/internal/project"
)

// groupTextForm is what EC2 takes in the names and descriptions of security
// groups in a VPC, and of their rules.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
var groupTextForm = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]*$`)

// groupText checks a security group's or a rule's name or description.
func (c *checker) groupText(r *project.Resource, path, text string) {
	switch {
	case unresolved(text):
	case len(text) > 255:
		c.problems.Addf(r.At(path), "the text is %d characters long: EC2 takes 255", len(text))
	case !groupTextForm.MatchString(text):
		c.problems.AddHint(r.At(path), "it takes letters without accents, digits, spaces and . _ - : / ( ) # , @ [ ] + = & ; { } ! $ *", "EC2 does not take %q here", text)
	}
}
