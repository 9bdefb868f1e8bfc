package emulator

import (
	"regexp"
	"unicode/utf8"
)

// tagPattern is what IAM, Systems Manager and Elastic Load Balancing take in
// the keys and values of tags, which is less than EC2 takes.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
const tagPattern = `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`

var tagForm = regexp.MustCompile("^(" + tagPattern + ")$")

// outOfForm says in the words of AWS what of a tag is refused; "" for nothing.
func outOfForm(key, value string) string {
	const detected = "1 validation error detected: Value '"
	switch {
	case key == "" || utf8.RuneCountInString(key) > 128:
		return detected + key + "' at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128 and greater than or equal to 1"
	case utf8.RuneCountInString(value) > 256:
		return detected + value + "' at 'tags.1.member.value' failed to satisfy constraint: Member must have length less than or equal to 256"
	case !tagForm.MatchString(key):
		return detected + key + "' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: " + tagPattern
	case !tagForm.MatchString(value):
		return detected + value + "' at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy regular expression pattern: " + tagPattern
	}
	return ""
}
