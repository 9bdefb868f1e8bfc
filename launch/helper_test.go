package launch

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

const testRegion = "eu-central-1"

// anyAMI is one that every local cloud has in that region.
const anyAMI = "ami-0e544268837c95001"

// site is a local cloud and a project over it.
type site struct {
	t     testing.TB
	local *emulator.Cloud
	cloud *cloud.Cloud
	dir   string
	wire  *wire
	runs  int
	onDie func() // beside what the end of a process does anyway
	// beside is what belongs to the shape, beside what there is; nil for nothing.
	beside func(s *site) map[string][]string
}

// wire is the way to the local cloud. Cut, it is the end of the process: no
// call gets through, and none is tried again.
type wire struct {
	to  http.RoundTripper
	cut atomic.Bool
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.cut.Load() {
		return nil, gone{}
	}
	return w.to.RoundTrip(r)
}

// gone is what a call meets that the end of the process has cut off.
type gone struct{}

func (gone) Error() string        { return "the process is gone" }
func (gone) RetryableError() bool { return false }

// newSite opens a local cloud whose instances run nothing, and a project of the
// given files over the smallest that works.
func newSite(t testing.TB, files map[string]string) *site {
	return newSiteOn(t, emulator.NoMachines, files)
}

func newSiteOn(t testing.TB, kind machine.Kind, files map[string]string) *site {
	t.Helper()
	return newSiteWith(t, emulator.Options{Machine: kind}, files)
}

// newSiteWith is a site over a local cloud with more said about it.
func newSiteWith(t testing.TB, o emulator.Options, files map[string]string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), wire: &wire{}}
	o.Transition = time.Millisecond
	o.OnDie = func() {
		s.wire.cut.Store(true)
		if s.onDie != nil {
			s.onDie()
		}
	}
	local, err := emulator.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	})
	s.local = local
	s.wire.to = local.Transport()
	s.cloud = s.connect()
	s.write(map[string]string{
		"goldline.yaml":         "project: shop\nladder: [dev]\ntags: {team: shop}\n",
		"environments/dev.yaml": "account: \"000000000000\"\nregion: " + testRegion + "\n",
	})
	s.write(files)
	return s
}

// connect opens the cloud as a new process does.
func (s *site) connect() *cloud.Cloud {
	s.t.Helper()
	provider := cloud.NewProvider(cloud.Config{Transport: s.wire, PollMin: time.Millisecond, PollMax: 5 * time.Millisecond, Dial: s.local.Dial})
	c, err := provider.For(context.Background(), cloud.Target{Account: cloud.LocalAccount, Region: testRegion})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// write puts files into the project; an empty one is removed.
func (s *site) write(files map[string]string) {
	s.t.Helper()
	for name, text := range files {
		path := filepath.Join(s.dir, name)
		if text == "" {
			if err := os.Remove(path); err != nil {
				s.t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
}

// edit replaces text in a file of the project.
func (s *site) edit(name, old, new string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		s.t.Fatalf("%s does not hold %q", name, old)
	}
	s.write(map[string]string{name: strings.ReplaceAll(string(text), old, new)})
}

func (s *site) topology() (*project.Topology, error) {
	p, err := project.Load(s.dir, project.Vocabulary{Resources: Kinds(), CheckTopology: CheckTopology})
	if err != nil {
		return nil, err
	}
	return p.Topology("dev", nil)
}

func (s *site) options() Options {
	s.t.Helper()
	topology, err := s.topology()
	if err != nil {
		s.t.Fatal(err)
	}
	s.runs++
	return Options{Project: "shop", Tags: map[string]string{"team": "shop"}, Topology: topology, Cloud: s.cloud, LoseContents: true, Run: fmt.Sprintf("run-%d", s.runs), Dir: s.dir}
}

func (s *site) plan() *Plan {
	s.t.Helper()
	plan, err := NewPlan(context.Background(), s.options())
	if err != nil {
		s.t.Fatal(err)
	}
	return plan
}

func (s *site) tryLaunch(ctx context.Context) (Result, error) {
	o := s.options()
	plan, err := NewPlan(ctx, o)
	if err != nil {
		return Result{}, err
	}
	return Apply(ctx, o, plan)
}

func (s *site) launch() Result {
	s.t.Helper()
	r, err := s.tryLaunch(context.Background())
	if err != nil {
		s.t.Fatalf("launch: %v", err)
	}
	return r
}

func (s *site) tryDestroy(ctx context.Context) error {
	o := s.options()
	plan, err := NewDestroyPlan(ctx, o)
	if err != nil {
		return err
	}
	_, err = Apply(ctx, o, plan)
	return err
}

func (s *site) destroy() {
	s.t.Helper()
	if err := s.tryDestroy(context.Background()); err != nil {
		s.t.Fatalf("destroy: %v", err)
	}
}

// settled fails unless a plan is empty now.
func (s *site) settled() {
	s.t.Helper()
	if plan := s.plan(); !plan.Empty() {
		s.t.Errorf("a plan after the launch is not empty:\n%s", summaryOf(plan))
	}
}

// summaryOf is a plan for people who read tests.
func summaryOf(p *Plan) string {
	var lines []string
	for _, c := range p.Changes {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s %s: %s", c.Action, c.Address, c.Reason), ": "))
	}
	return strings.Join(lines, "\n")
}

// build makes an AMI with a version, as a bake does, and gives its ID.
func (s *site) build(image, version string) string {
	s.t.Helper()
	ctx := context.Background()
	images, err := s.cloud.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"136693071363"}, Filters: []types.Filter{
		cloud.Filter("name", "debian-12-amd64-*")}})
	if err != nil || len(images.Images) == 0 {
		s.t.Fatalf("no source image: %v", err)
	}
	out, err := s.cloud.EC2.CopyImage(ctx, &ec2.CopyImageInput{
		Name: aws.String(image + "-" + version), SourceImageId: images.Images[0].ImageId, SourceRegion: aws.String(testRegion),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, map[string]string{
			tags.Project: "shop", tags.Image: image, tags.Version: version})},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.cloud.Images.Wait(ctx, cloud.Wait[types.Image]{ID: *out.ImageId, For: "the image", Deadline: time.Minute,
		Done: func(i types.Image, found bool) (bool, error) {
			return found && i.State == types.ImageStateAvailable, nil
		}})
	if err != nil {
		s.t.Fatal(err)
	}
	return *out.ImageId
}

// promote makes a new build of an image current.
func (s *site) promote(image, version string) string {
	s.t.Helper()
	return s.point(image, s.build(image, version))
}

// point makes a build that is there the current one.
func (s *site) point(image, ami string) string {
	s.t.Helper()
	_, err := s.cloud.SSM.PutParameter(context.Background(), &ssm.PutParameterInput{
		Name: aws.String(tags.Pointer("shop", "dev", image)), Value: aws.String(ami), Type: ssmtypes.ParameterTypeString,
		DataType: aws.String("aws:ec2:image"), Overwrite: aws.Bool(true),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	// SSM checks an AMI after it has answered.
	for range 1000 {
		pointers, err := s.cloud.Pointers(context.Background(), "shop", "dev")
		if err != nil {
			s.t.Fatal(err)
		}
		if pointers[image].AMI == ami {
			return ami
		}
	}
	s.t.Fatalf("%s is not promoted", image)
	return ""
}

// inventory is everything that exists, but for what the tests themselves make.
func (s *site) inventory() map[string][]string {
	s.t.Helper()
	all, err := s.local.Inventory()
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

var anyID = regexp.MustCompile(`\b[a-z]+-[0-9a-f]{17}\b|\bZ[0-9A-Z]{20}\b|\bns-\d+\.awsdns-\d+\b`)

// shape is the inventory without what differs from one launch to the next.
func (s *site) shape() map[string][]string {
	s.t.Helper()
	shape := map[string][]string{}
	for kind, lines := range s.inventory() {
		for _, line := range lines {
			shape[kind] = append(shape[kind], anyID.ReplaceAllString(line, "ID"))
		}
		slices.Sort(shape[kind])
	}
	if s.beside != nil {
		maps.Copy(shape, s.beside(s))
	}
	return shape
}

func sameInventory(t *testing.T, what string, before, after map[string][]string) {
	t.Helper()
	kinds := slices.Sorted(maps.Keys(before))
	kinds = slices.AppendSeq(kinds, maps.Keys(after))
	slices.Sort(kinds)
	for _, kind := range slices.Compact(kinds) {
		if !slices.Equal(before[kind], after[kind]) {
			t.Errorf("%s: %s differs:\nbefore %s\nafter  %s", what, kind, strings.Join(before[kind], "\n       "), strings.Join(after[kind], "\n       "))
		}
	}
}

// reconnect is a new process after the end of one.
func (s *site) reconnect() {
	s.t.Helper()
	s.local.ClearFaults()
	s.wire.cut.Store(false)
	s.cloud = s.connect()
}

// events gathers what a launch tells.
type events struct {
	mu  sync.Mutex
	all []event.Event
}

func (e *events) Emit(x event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, x)
}

func (e *events) of(kind event.Kind) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var items []string
	for _, x := range e.all {
		if x.Kind == kind {
			items = append(items, x.Item)
		}
	}
	return items
}

// platform is a small one of every kind: groups that name each other, a public
// subnet, an instance with a volume, two that are equal.
func platform() map[string]string {
	return map[string]string{
		"topology/vpcs/main.yaml":              "cidr_block: 10.0.0.0/16\nenable_dns_hostnames: true\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/subnets/all.yaml": "name: public-a\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\nmap_public_ip_on_launch: true\n" +
			"---\nname: public-b\nvpc: main\ncidr_block: 10.0.2.0/24\navailability_zone: b\nmap_public_ip_on_launch: true\n",
		"topology/route_tables/public.yaml": "vpc: main\nroutes:\n  - destination_cidr_block: 0.0.0.0/0\n    internet_gateway: main\nsubnets: [public-a, public-b]\n",
		"topology/security_groups/all.yaml": "name: web\nvpc: main\ningress:\n  - {protocol: tcp, port: 80, cidr_blocks: [0.0.0.0/0]}\n  - {protocol: tcp, port: 8080, security_groups: [db]}\n" +
			"---\nname: db\nvpc: main\ningress:\n  - {protocol: tcp, port: 5432, security_groups: [web], description: orders}\n  - {self: true}\n",
		"topology/volumes/orders.yaml": "availability_zone: a\nsize: 8\n",
		"topology/instances/db.yaml": "image: db\ninstance_type: t3.micro\nsubnet: public-a\nsecurity_groups: [db]\n" +
			"volumes: [{volume: orders, device: /dev/sdf}]\nuser_data:\n  extra:\n    volume: ${volume.orders.id}\n",
		"topology/instances/web.yaml": "image: web\ninstance_type: t3.micro\ncount: 2\nsubnet: public-b\nsecurity_groups: [web]\nuser_data:\n  extra: {feature: \"on\"}\n",
		"images/web.yaml":             "source_ami: ami-00000000000000001\nssh_username: admin\n",
		"images/db.yaml":              "source_ami: ami-00000000000000001\nssh_username: admin\n",
	}
}

// newPlatform is a site with the platform's images promoted.
func newPlatform(t *testing.T) *site {
	t.Helper()
	s := newSite(t, platform())
	s.promote("web", "1.0.0")
	s.promote("db", "1.0.0")
	return s
}

func sortStrings(list []string) { slices.Sort(list) }

func exitCode(err error) int { return fail.ExitCode(err) }

func leftOf(err error) []fail.Left { return fail.LeftOf(err) }

// fault makes the nth call of an action from now fail.
func (s *site) fault(service, action string, kind emulator.FaultKind, code string, nth int) {
	s.local.Inject(emulator.Fault{Service: service, Action: action, Nth: nth, Kind: kind, Code: code})
}
