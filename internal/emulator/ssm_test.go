package emulator

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func putInput(name, value string, change func(*ssm.PutParameterInput)) *ssm.PutParameterInput {
	in := &ssm.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString}
	if change != nil {
		change(in)
	}
	return in
}

func overwrite(in *ssm.PutParameterInput) { in.Overwrite = aws.Bool(true) }

func TestPutParameterRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in   *ssm.PutParameterInput
		code string
	}{
		"exists":         {putInput("there", "v", nil), "ParameterAlreadyExists"},
		"no type":        {putInput("new", "v", func(in *ssm.PutParameterInput) { in.Type = "" }), "ValidationException"},
		"other type":     {putInput("there", "v", func(in *ssm.PutParameterInput) { overwrite(in); in.Type = types.ParameterTypeSecureString }), "HierarchyTypeMismatchException"},
		"no value":       {putInput("new", "", nil), "ValidationException"},
		"aws":            {putInput("/aws/x", "v", nil), "AccessDeniedException"},
		"ssm":            {putInput("ssm-x", "v", nil), "ValidationException"},
		"space":          {putInput("a b", "v", nil), "ValidationException"},
		"relative path":  {putInput("a/b", "v", nil), "ValidationException"},
		"too deep":       {putInput(strings.Repeat("/a", 16), "v", nil), "HierarchyLevelLimitExceededException"},
		"too long":       {putInput("new", strings.Repeat("v", 4097), nil), "ValidationException"},
		"much too long":  {putInput("new", strings.Repeat("v", 8193), func(in *ssm.PutParameterInput) { in.Tier = types.ParameterTierAdvanced }), "ValidationException"},
		"pattern":        {putInput("new", "b", func(in *ssm.PutParameterInput) { in.AllowedPattern = aws.String("a+") }), "ParameterPatternMismatchException"},
		"broken pattern": {putInput("new", "b", func(in *ssm.PutParameterInput) { in.AllowedPattern = aws.String("(") }), "InvalidAllowedPatternException"},
		"data type":      {putInput("new", "b", func(in *ssm.PutParameterInput) { in.DataType = aws.String("aws:ec2:volume") }), "ValidationException"},
		"no AMI":         {putInput("new", "b", func(in *ssm.PutParameterInput) { in.DataType = aws.String("aws:ec2:image") }), "ValidationException"},
		"tags, overwrite": {putInput("there", "b", func(in *ssm.PutParameterInput) {
			overwrite(in)
			in.Tags = []types.Tag{{Key: aws.String("k"), Value: aws.String("")}}
		}), "ValidationException"},
		"key of no secret": {putInput("new", "b", func(in *ssm.PutParameterInput) { in.KeyId = aws.String("alias/k") }), "ValidationException"},
		"policies":         {putInput("new", "b", func(in *ssm.PutParameterInput) { in.Policies = aws.String("[{}]") }), "InvalidPolicyTypeException"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newTestCloud(t, Options{})
			if _, err := cloud.ssm.PutParameter(t.Context(), putInput("there", "v", nil)); err != nil {
				t.Fatal(err)
			}
			before, err := cloud.Inventory()
			if err != nil {
				t.Fatal(err)
			}
			_, err = cloud.ssm.PutParameter(t.Context(), c.in)
			wantCode(t, err, c.code)
			if after, err := cloud.Inventory(); err != nil || !reflect.DeepEqual(before, after) {
				t.Errorf("a refused write changed %v to %v (%v)", before, after, err)
			}
		})
	}
}

func TestParameterVersions(t *testing.T) {
	clock := NewDrivenClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	cloud := newTestCloud(t, Options{Clock: clock})
	put := func(value string) (int64, error) {
		out, err := cloud.ssm.PutParameter(t.Context(), putInput("/a/b", value, overwrite))
		if err != nil {
			return 0, err
		}
		return out.Version, nil
	}
	for i := 1; i <= 103; i++ {
		if v, err := put(fmt.Sprint("v", i)); err != nil || v != int64(i) {
			t.Fatalf("write %d gave version %d: %v", i, v, err)
		}
	}
	label := func(version *int64, labels ...string) *ssm.LabelParameterVersionOutput {
		out, err := cloud.ssm.LabelParameterVersion(t.Context(), &ssm.LabelParameterVersionInput{Name: aws.String("/a/b"), ParameterVersion: version, Labels: labels})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := label(aws.Int64(4), "prod", "1st", "awsome"); !reflect.DeepEqual(out.InvalidLabels, []string{"1st", "awsome"}) {
		t.Errorf("invalid labels are %v", out.InvalidLabels)
	}
	for name, want := range map[string]string{
		"/a/b": "v103", "/a/b:50": "v50", "/a/b:prod": "v4",
		"arn:aws:ssm:eu-central-1:000000000000:parameter/a/b": "v103",
	} {
		got, err := cloud.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name})
		if err != nil || *got.Parameter.Value != want || *got.Parameter.Name != "/a/b" || !got.Parameter.LastModifiedDate.Equal(clock.Now()) {
			t.Errorf("%s is %+v (%v), not %s", name, got, err, want)
		}
	}
	for name, code := range map[string]string{"/a/b:3": "ParameterVersionNotFound", "/a/b:test": "ParameterVersionNotFound", "/a/c": "ParameterNotFound"} {
		_, err := cloud.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name})
		wantCode(t, err, code)
	}
	// The oldest version has a label now, and keeps its place.
	_, err := put("v104")
	wantCode(t, err, "ParameterMaxVersionLimitExceeded")
	label(nil, "prod")
	if _, err := put("v104"); err != nil {
		t.Error(err)
	}
	var versions []int64
	for pages := ssm.NewGetParameterHistoryPaginator(cloud.ssm, &ssm.GetParameterHistoryInput{Name: aws.String("/a/b"), MaxResults: aws.Int32(30)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page.Parameters {
			versions = append(versions, h.Version)
			if (h.Version == 103) != reflect.DeepEqual(h.Labels, []string{"prod"}) || *h.Value != fmt.Sprint("v", h.Version) {
				t.Errorf("version %d has labels %v and value %s", h.Version, h.Labels, *h.Value)
			}
		}
	}
	if len(versions) != 100 || versions[0] != 5 || versions[99] != 104 {
		t.Errorf("history has versions %v", versions)
	}
}

// A write of an image is answered before it is validated; one of an image that
// is not there leaves the parameter as it was.
func TestImageParameter(t *testing.T) {
	clock := NewDrivenClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	cloud := newTestCloud(t, Options{Clock: clock, Transition: time.Second})
	const good, bad = "ami-0123456789abcdef0", "ami-00000000000000bad"
	cloud.hooks.imageExists = func(w world, id string) bool { return w.Region == testRegion && id == good }
	put := func(value string, version int64) {
		out, err := cloud.ssm.PutParameter(t.Context(), putInput("/p", value, func(in *ssm.PutParameterInput) { overwrite(in); in.DataType = aws.String("aws:ec2:image") }))
		if err != nil || out.Version != version {
			t.Fatalf("version is %+v (%v), not %d", out, err, version)
		}
	}
	get := func() string {
		out, err := cloud.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/p")})
		if err != nil {
			return codeOf(err)
		}
		return fmt.Sprint(*out.Parameter.Value, " ", out.Parameter.Version, " ", *out.Parameter.DataType)
	}
	put(bad, 1)
	clock.Advance(time.Second)
	if got := get(); got != "ParameterNotFound" {
		t.Errorf("after a write that is not valid: %s", got)
	}
	put(good, 1)
	if got := get(); got != "ParameterNotFound" {
		t.Errorf("before its validation: %s", got)
	}
	clock.Advance(time.Second)
	if got := get(); got != good+" 1 aws:ec2:image" {
		t.Errorf("after its validation: %s", got)
	}
	put(bad, 2)
	put(good, 3)
	clock.Advance(time.Second)
	if got := get(); got != good+" 2 aws:ec2:image" {
		t.Errorf("after a bad write and a good one: %s", got)
	}
}

// A launch may name the parameter that holds its AMI, if that is one for images.
func TestLaunchByParameter(t *testing.T) {
	c, clock := driven(t)
	ami := debian(t, c)
	for name, kind := range map[string]string{"/image": "aws:ec2:image", "/text": "text"} {
		must(c.ssm.PutParameter(t.Context(), putInput(name, ami, func(in *ssm.PutParameterInput) { in.DataType = &kind })))(t)
	}
	clock.Advance(time.Second)
	launch := func(image string) (string, error) {
		out, err := c.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: &image, InstanceType: "t3.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
		if err != nil {
			return "", err
		}
		return *out.Instances[0].ImageId, nil
	}
	for _, name := range []string{"resolve:ssm:/image", "resolve:ssm:/image:1"} {
		if got, err := launch(name); got != ami {
			t.Errorf("%s is %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"resolve:ssm:/text", "resolve:ssm:/image:2", "resolve:ssm:/nothing"} {
		_, err := launch(name)
		wantCode(t, err, "SsmInvalidParameter")
	}
}

func TestSecureString(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	_, err := cloud.ssm.PutParameter(t.Context(), putInput("/s", "hush", func(in *ssm.PutParameterInput) { in.Type = types.ParameterTypeSecureString }))
	if err != nil {
		t.Fatal(err)
	}
	for _, decrypt := range []bool{false, true} {
		got, err := cloud.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/s"), WithDecryption: &decrypt})
		if err != nil || (*got.Parameter.Value == "hush") != decrypt {
			t.Errorf("decrypted %v: %+v (%v)", decrypt, got, err)
		}
	}
	left, err := cloud.Inventory()
	if err != nil || strings.Contains(fmt.Sprint(left, cloud.Calls()), "hush") {
		t.Errorf("the secret shows in %v or the calls (%v)", left, err)
	}
}

func TestParametersByPathAndDescribe(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	cloud.hooks.publicImage = func(region, os, arch string) string { return "ami-" + os + "-" + arch }
	for _, name := range []string{"/a/1", "/a/2", "/a/b/3", "/ab/4", "plain"} {
		in := putInput(name, "v", func(in *ssm.PutParameterInput) {
			if name != "plain" {
				in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String(name[1:2])}}
			}
		})
		if _, err := cloud.ssm.PutParameter(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	byPath := func(in ssm.GetParametersByPathInput) (names []string) {
		for pages := ssm.NewGetParametersByPathPaginator(cloud.ssm, &in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				return []string{codeOf(err)}
			}
			for _, p := range page.Parameters {
				names = append(names, *p.Name)
			}
		}
		return names
	}
	filter := func(key, option string, values ...string) []types.ParameterStringFilter {
		f := types.ParameterStringFilter{Key: &key, Values: values}
		if option != "" {
			f.Option = &option
		}
		return []types.ParameterStringFilter{f}
	}
	for name, c := range map[string]struct {
		in   ssm.GetParametersByPathInput
		want []string
	}{
		"one level":  {ssm.GetParametersByPathInput{Path: aws.String("/a")}, []string{"/a/1", "/a/2"}},
		"recursive":  {ssm.GetParametersByPathInput{Path: aws.String("/a/"), Recursive: aws.Bool(true), MaxResults: aws.Int32(1)}, []string{"/a/1", "/a/2", "/a/b/3"}},
		"none":       {ssm.GetParametersByPathInput{Path: aws.String("/none")}, nil},
		"relative":   {ssm.GetParametersByPathInput{Path: aws.String("a")}, []string{"ValidationException"}},
		"filter":     {ssm.GetParametersByPathInput{Path: aws.String("/a"), ParameterFilters: filter("Type", "", "SecureString")}, nil},
		"filter key": {ssm.GetParametersByPathInput{Path: aws.String("/a"), ParameterFilters: filter("Name", "", "x")}, []string{"InvalidFilterKey"}},
		"too many":   {ssm.GetParametersByPathInput{Path: aws.String("/a"), MaxResults: aws.Int32(11)}, []string{"ValidationException"}},
		"public":     {ssm.GetParametersByPathInput{Path: aws.String("/aws/service/debian/release/12/latest")}, []string{"/aws/service/debian/release/12/latest/amd64", "/aws/service/debian/release/12/latest/arm64"}},
	} {
		if got := byPath(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
	describe := func(in ssm.DescribeParametersInput) (names []string) {
		for pages := ssm.NewDescribeParametersPaginator(cloud.ssm, &in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				return []string{codeOf(err)}
			}
			for _, p := range page.Parameters {
				names = append(names, *p.Name)
			}
		}
		return names
	}
	for name, c := range map[string]struct {
		filters []types.ParameterStringFilter
		want    []string
	}{
		"all":           {nil, []string{"/a/1", "/a/2", "/a/b/3", "/ab/4", "plain"}},
		"name":          {filter("Name", "Equals", "/a/1", "/ab/4"), []string{"/a/1", "/ab/4"}},
		"name, plain":   {filter("Name", "", "/plain"), []string{"plain"}},
		"prefix":        {filter("Name", "BeginsWith", "/a/"), []string{"/a/1", "/a/2", "/a/b/3"}},
		"part":          {filter("Name", "Contains", "b"), []string{"/a/b/3", "/ab/4"}},
		"path":          {filter("Path", "Recursive", "/a"), []string{"/a/1", "/a/2", "/a/b/3"}},
		"one level":     {filter("Path", "", "/a"), []string{"/a/1", "/a/2"}},
		"tag":           {filter("tag:team", "", "a"), []string{"/a/1", "/a/2", "/a/b/3", "/ab/4"}},
		"other tag":     {filter("tag:team", "", "z"), nil},
		"key":           {filter("Colour", "", "red"), []string{"InvalidFilterKey"}},
		"option":        {filter("Type", "BeginsWith", "S"), []string{"InvalidFilterOption"}},
		"no value":      {filter("Name", ""), []string{"InvalidFilterValue"}},
		"the same once": {append(filter("Name", "", "a"), filter("Name", "", "b")...), []string{"ValidationException"}},
	} {
		if got := describe(ssm.DescribeParametersInput{ParameterFilters: c.filters, MaxResults: aws.Int32(2)}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
	got, err := cloud.ssm.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/a/1", "/none", "/aws/service/debian/release/12/latest/arm64"}})
	if err != nil || len(got.Parameters) != 2 || *got.Parameters[1].Value != "ami-debian-12-arm64" || !reflect.DeepEqual(got.InvalidParameters, []string{"/none"}) {
		t.Errorf("parameters are %+v (%v)", got, err)
	}
	gone, err := cloud.ssm.DeleteParameters(t.Context(), &ssm.DeleteParametersInput{Names: []string{"/a/1", "/none"}})
	if err != nil || !reflect.DeepEqual(gone.DeletedParameters, []string{"/a/1"}) || !reflect.DeepEqual(gone.InvalidParameters, []string{"/none"}) {
		t.Errorf("deleted %+v (%v)", gone, err)
	}
	_, err = cloud.ssm.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String("/a/1")})
	wantCode(t, err, "ParameterNotFound")
}

func TestParameterTags(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	if err := putNew(t.Context(), cloud.ssm, "p"); err != nil {
		t.Fatal(err)
	}
	resource, id := types.ResourceTypeForTaggingParameter, aws.String("p")
	add := func(tags ...types.Tag) error {
		_, err := cloud.ssm.AddTagsToResource(t.Context(), &ssm.AddTagsToResourceInput{ResourceType: resource, ResourceId: id, Tags: tags})
		return err
	}
	tag := func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
	if err := add(tag("b", "1"), tag("a", "2")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, add(tag("c", "1"), tag("c", "2")), "ValidationException")
	wantCode(t, add(tag("aws:c", "1")), "ValidationException")
	var many []types.Tag
	for i := range 49 {
		many = append(many, tag(fmt.Sprint("k", i), ""))
	}
	wantCode(t, add(many...), "TooManyTagsError")
	if _, err := cloud.ssm.RemoveTagsFromResource(t.Context(), &ssm.RemoveTagsFromResourceInput{ResourceType: resource, ResourceId: id, TagKeys: []string{"b", "none"}}); err != nil {
		t.Fatal(err)
	}
	got, err := cloud.ssm.ListTagsForResource(t.Context(), &ssm.ListTagsForResourceInput{ResourceType: resource, ResourceId: id})
	if err != nil || len(got.TagList) != 1 || *got.TagList[0].Key != "a" || *got.TagList[0].Value != "2" {
		t.Errorf("tags are %+v (%v)", got, err)
	}
	_, err = cloud.ssm.ListTagsForResource(t.Context(), &ssm.ListTagsForResourceInput{ResourceType: resource, ResourceId: aws.String("none")})
	wantCode(t, err, "InvalidResourceId")
	_, err = cloud.ssm.ListTagsForResource(t.Context(), &ssm.ListTagsForResourceInput{ResourceType: types.ResourceTypeForTaggingDocument, ResourceId: id})
	wantCode(t, err, "InvalidResourceType")
}
