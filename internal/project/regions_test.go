package project

import (
	"slices"
	"strings"
	"testing"
)

const prodIn = `account: "222222222222"
region: eu-central-1
`

func TestRegions(t *testing.T) {
	p := load(t, `
-- environments/prod.yaml --
`+prodIn+`image_access: copy
regions: [us-east-1, ap-southeast-2]
image_kms_key_id: {eu-central-1: alias/images, us-east-1: "arn:aws:kms:us-east-1:222222222222:alias/images", ap-southeast-2: mrk-0123}
-- environments/test.yaml --
`+prodIn+`image_access: copy
regions: us-east-1
image_kms_key_id: alias/images
`)
	prod, _ := p.Environment("prod")
	test, _ := p.Environment("test")
	if all := prod.AllRegions(); !slices.Equal(all, []string{"eu-central-1", "us-east-1", "ap-southeast-2"}) {
		t.Error(all)
	}
	for region, want := range map[string]string{"eu-central-1": "alias/images", "us-east-1": "arn:aws:kms:us-east-1:222222222222:alias/images", "ap-southeast-2": "mrk-0123", "eu-west-1": ""} {
		if key := prod.ImageKMSKeyID.In(region); key != want {
			t.Errorf("the key of %s is %q", region, key)
		}
	}
	if all := test.AllRegions(); len(all) != 2 || test.ImageKMSKeyID.In("us-east-1") != "alias/images" {
		t.Errorf("test: %v, %+v", all, test.ImageKMSKeyID)
	}
}

func TestRegionsThatCannotBe(t *testing.T) {
	for _, c := range []struct{ name, text, problem, hint string }{
		{"its own", "regions: [us-east-1, eu-central-1]", "prod.yaml:3:22: eu-central-1 is the region of the environment already", "regions are those besides it"},
		{"twice", "regions: [us-east-1, eu-west-1, us-east-1]", "prod.yaml:3:33: region us-east-1 is given twice", ""},
		{"malformed", "regions: [us-east]", `prod.yaml:3:11: expected text of the form`, "Further regions"},
		{"empty", "regions: [us-east-1, ~]", `prod.yaml:3:22: expected text, found nothing`, ""},
		{"a mapping", "regions: {us-east-1: x}", `prod.yaml:3:10: expected a list`, ""},
		{"no key for one", "regions: [us-east-1]\nimage_kms_key_id: {eu-central-1: alias/a}", "prod.yaml:4:19: there is no key for us-east-1", "add us-east-1: "},
		{"a key for another", "regions: [us-east-1]\nimage_kms_key_id: {eu-central-1: alias/a, us-east-1: alias/a, us-east-2: alias/a}", "us-east-2 is no region of environment prod (eu-central-1, us-east-1)", `did you mean "us-east-1"?`},
		{"an empty key", "image_kms_key_id: {eu-central-1: ''}", "prod.yaml:3:34: the key of eu-central-1 must not be empty", ""},
		{"one region's key", "regions: [us-east-1]\nimage_kms_key_id: arn:aws:kms:eu-central-1:222222222222:key/0a1b", "prod.yaml:4:19: the key is one of eu-central-1, and cannot encrypt in us-east-1", "name an alias that every region has, or a key for each: {eu-central-1: ..., us-east-1: ...}"},
		{"another region's", "image_kms_key_id: arn:aws:kms:us-east-1:222222222222:key/0a1b", "prod.yaml:3:19: the key is one of us-east-1, and cannot encrypt in eu-central-1", ""},
		{"a replica's ARN", "regions: [us-east-1]\nimage_kms_key_id: arn:aws:kms:eu-central-1:222222222222:key/mrk-0a1b", "cannot encrypt in us-east-1", "write its ID alone, mrk-0a1b"},
		{"an alias's ARN", "regions: [us-east-1]\nimage_kms_key_id: arn:aws:kms:eu-central-1:222222222222:alias/a", "cannot encrypt in us-east-1", "write the alias alone, alias/a"},
		{"a stray one of several", "regions: [us-east-1]\nimage_kms_key_id: {eu-central-1: alias/a, us-east-1: 'arn:aws:kms:eu-west-1:222222222222:key/0a1b'}", "prod.yaml:4:54: the key is one of eu-west-1, and cannot encrypt in us-east-1", ""},
		{"a list of keys", "image_kms_key_id: [alias/a]", "prod.yaml:3:19: expected the name of a key, or one for each region, found a list", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, "-- goldline.yaml --\nproject: shop\nladder: [prod]\n-- environments/prod.yaml --\n"+prodIn+c.text+"\n")
			p, err := Load(dir, testVocabulary())
			if err == nil {
				t.Fatal("it is taken")
			}
			if text := render(p, err); !strings.Contains(text, c.problem) || !strings.Contains(text, c.hint) {
				t.Error(text)
			}
		})
	}
}

// TestKeyWithoutCopies: a key that would encrypt nothing is refused, where no
// account below has what it could copy.
func TestKeyWithoutCopies(t *testing.T) {
	const dev, key = "account: \"000000000000\"\nregion: eu-central-1\n", "image_kms_key_id: alias/images\n"
	for _, c := range []struct {
		name, dev, prod string
		refused         bool
	}{
		{"shared by another account", dev, prodIn + key, true},
		{"said to be shared", dev, prodIn + "image_access: share\n" + key, true},
		{"copied", dev, prodIn + "image_access: copy\n" + key, false},
		{"the same account", prodIn, prodIn + key, false},
		{"the first rung", dev + key, prodIn, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, "-- goldline.yaml --\nproject: shop\nladder: [dev, prod]\n-- environments/dev.yaml --\n"+c.dev+"-- environments/prod.yaml --\n"+c.prod)
			p, err := Load(dir, testVocabulary())
			if text := render(p, err); c.refused != strings.Contains(text, "the key is for copies, and prod has the builds of account 000000000000 shared with it") || c.refused != (err != nil) {
				t.Errorf("%v %s", err, text)
			}
		})
	}
}
