// Package project loads a folder of definitions: goldline.yaml, images/,
// topology/, environments/ and pipelines/. It reports everything wrong at once
// with positions, resolves variables, and hands the rooms typed definitions. It
// makes no cloud call and changes no file.
//
// Recipes and topology are decoded for given variables, so that a variable may
// stand wherever a value may: Load reads and parses; Images, Topology and
// Pipeline decode.
package project

import (
	"slices"

	"github.com/goldline-dev/goldline/internal/diag"
)

// Kind is one kind of thing that a file may define by name: a kind of
// topology resource ("subnet") or of provisioner ("shell"). The rooms that
// carry them out declare them; this package decodes them strictly by the fields
// of the struct that New returns.
//
// The fields' tags are the definition's grammar:
//
//	yaml:"cidr_block"       the key
//	doc:"..."               one sentence for the reference and the JSON Schema
//	alias:"az,zone"         other names of the key, from older files
//	required:"true"         must be given
//	ref:"subnet"            the value is the name of a resource of that kind (in a string or a []string),
//	                        or `${...}`, or EC2's own ID of one; ref:"image" names a recipe
//	late:"true"             on a ref field: the reference does not order creation, so a ring of such is no
//	                        cycle (security groups that name each other); Ref.Late tells
//	enum:"a,b,c"            the values that it may have
//	default:"..."           what holds when absent, for the reference only
//	sensitive:"true"        never shown
//	pattern:"^[a-z]+$"      a regular expression that the text must match
//	min:"1" max:"65535"     bounds of a whole number
//	short:"true"            the field that is filled where a scalar or a list stands in its struct's place
//	form:"a count, or per cent"  what a pattern means, in words
//	shell:"true"            on a []string: one string is a line for the shell, sh -c
//	tags:"true"             the keys are tags: Goldline's and AWS's own are refused
//	file:"true"             the text is a path, from the definition's folder, and the value what the file holds
//	attribute:"name"        on a ref field: the reference gives this attribute, not the ID
//	null:"true"             null is a value (on a map: its values may be null)
//	change:"replaces"       what a change of the value does to the resource, for the reference only; it is
//	                        made in place without the tag
//	yaml:",inline"          the fields of an embedded struct are keys here
//
// A field may be a string, bool, number, Duration, struct, slice, map with
// string keys, pointer to one of these, any (JSON's values), json.RawMessage, or
// a type with UnmarshalYAML or UnmarshalText. A field `Pos diag.Pos` without a
// key takes the position of its struct. In a topology, text keeps its
// references, and $${ for ${, until Fill.
type Kind struct {
	Name string
	Doc  string
	// New returns a pointer to a new struct of the kind's fields.
	New func() any
	// Attributes are what `${kind.name.attribute}` may ask of a resource of this
	// kind: "id", "private_ip".
	Attributes []string
	// Traits are what adopt may tell resources apart by beside the attributes, and
	// nothing else may ask for.
	Traits []string
	// Owners are keys of adopt, each with a kind: by them a definition names
	// another, to which its resource belongs.
	Owners map[string]string
	// Rolls tells that its definitions run instances, and may say how these take up
	// a new build.
	Rolls bool
	// Example is a definition of the kind, for the reference. It names what the
	// examples of the other kinds define.
	Example string
}

// Vocabulary is what the rooms add to the language of definitions.
type Vocabulary struct {
	Resources    []Kind // from launch
	Provisioners []Kind // from bake
	// PostProcessors are those that recipes may use, from bake.
	PostProcessors []Kind
	// Foreign gives the options of a provisioner that Provisioners does not list, or
	// says why there is none. Where it is nil there never is.
	Foreign func(Foreign) (any, error)
	// CheckTopology and CheckImage report what is wrong beyond single fields.
	CheckTopology func(*Topology) diag.List
	CheckImage    func(*Image) diag.List
}

// How builds come to another account's environment.
const (
	ImageShare = "share"
	ImageCopy  = "copy"
)

// Environment is environments/<name>.yaml: an account, a region, and values
// for the topology.
type Environment struct {
	Name    string   `yaml:"-"`
	Pos     diag.Pos `yaml:"-"`
	Account string   `yaml:"account" required:"true" pattern:"^[0-9]{12}$" doc:"The 12-digit AWS account that the environment lives in; the caller's must be the same."`
	Region  string   `yaml:"region" required:"true" pattern:"^[a-z]{2}(-[a-z]+)+-[0-9]+$" doc:"The AWS region."`
	// Regions are further ones in which every promoted build is present, too.
	Regions   []string          `yaml:"regions" pattern:"^[a-z]{2}(-[a-z]+)+-[0-9]+$" doc:"Further regions in which every promoted build is present, with a pointer of its own; the topology is launched in region alone."`
	Role      string            `yaml:"role" pattern:"^(arn:aws[a-z-]*:iam::[0-9]{12}:role/.+)?$" form:"the ARN of a role, arn:aws:iam::123456789012:role/NAME" doc:"ARN of a role to assume for every call in this environment."`
	Protected bool              `yaml:"protected" doc:"Changes and destruction ask first."`
	Vars      map[string]string `yaml:"vars" doc:"Values for ${var.NAME}."`
	Tags      map[string]string `yaml:"tags" tags:"everywhere" doc:"Tags on everything in this environment."`
	// ImageAccess is ImageShare, ImageCopy, or empty, which is ImageShare.
	ImageAccess   string     `yaml:"image_access" enum:"share,copy" doc:"How builds of another account come here: shared by it, or copied by this environment's account." default:"share"`
	ImageKMSKeyID RegionKeys `yaml:"image_kms_key_id" doc:"The KMS key of this account that copied builds are encrypted with: an alias or a multi-Region key, which every region looks up for itself, or a key for each region."`
	// Rollout is nil where the environment has none.
	Rollout *Rollout `yaml:"rollout" doc:"How instances take up a new build, where their definition does not say it."`
	// Requires is nil where the environment asks for the ladder alone.
	Requires *Requires `yaml:"requires" doc:"What a build needs before it becomes current here."`

	src       *source
	positions map[string]diag.Pos
}

// Topology is the resources of an environment: every repeated definition
// expanded, variables resolved, references checked.
type Topology struct {
	Environment *Environment
	Resources   []*Resource // in the order of file names and of documents within
}

// Resource is one resource of a topology.
type Resource struct {
	Kind    string
	Name    string // without index: web
	Index   string // "" for one that is not repeated, "0" with count, the key with each
	Address string // instance.web[0]
	UUID    string // the definition's own, or version 5 of project, environment and address
	Pos     diag.Pos
	// Spec is a pointer to the kind's struct. References within it are as
	// written; Fill gives a copy with values in their places.
	Spec any
	// Refs are all references that Spec makes, each once.
	Refs []Ref
	// Lookups are the values of Spec that others hold, each once; Resolve puts
	// them in their places.
	Lookups []Lookup
	// Tags are the definition's own, with the environment's and the project's. A
	// resource that is adopted has its own alone.
	Tags map[string]string
	// Protect refuses to delete or replace the resource.
	Protect bool
	// Adopt says which existing resource the definition is tied to; nil for one
	// that is made.
	Adopt *Adopt
	// Rollout is the definition's own; Topology.Effective tells which one holds.
	Rollout *Rollout
	// Rolls tells that its kind runs instances, which take up new builds.
	Rolls bool

	// From is the address of the resource that this one follows from; empty for
	// one that has a definition of its own.
	From string

	// Counted tells that a count repeats the definition: Index is a number.
	Counted bool

	positions map[string]diag.Pos
	varying   map[string]bool
	zones     int // how many of the region's zones its repetition takes
}

// Adopt tells a resource that something else made apart from others: all of it
// must hold.
type Adopt struct {
	Tags map[string]string
	// Keys are the kind's attributes and traits, and "name".
	Keys map[string]string
	// Owners are definitions whose resources this one belongs to, by the kind's
	// keys for them.
	Owners map[string]Ref
}

// States tells whether the definition itself gives a field.
func (r *Resource) States(path string) bool {
	_, ok := r.positions[path]
	return ok
}

// Varies tells whether a key of the definition is written with ${index}, so
// that it may differ from one copy to the next.
func (r *Resource) Varies(key string) bool { return r.varying[key] }

// At is the position of a field by its path within the definition:
// "cidr_block", "ingress[0].from_port". Without one of its own it is the
// position of the nearest field around it.
func (r *Resource) At(path string) diag.Pos {
	for {
		if p, ok := r.positions[path]; ok {
			return p
		}
		cut := lastSeparator(path)
		if cut < 0 {
			return r.Pos
		}
		path = path[:cut]
	}
}

func lastSeparator(path string) int {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return i
		}
	}
	return -1
}

// Ref is a reference from one resource to another, or to an image.
type Ref struct {
	Kind      string // "subnet"; "image" for a recipe
	Address   string // subnet.private-a; for an image its name
	Attribute string // "id" for a typed field
	Path      string // the field that holds it
	Late      bool   // it does not order creation; never part of a cycle
	Pos       diag.Pos
}

// Image is a recipe: images/<name>.yaml, or one builder of a Packer template.
// Its keys are those of Packer's amazon-ebs builder, and Goldline's own where
// Packer has no word.
type Image struct {
	Name string   `yaml:"-"`
	Pos  diag.Pos `yaml:"-"`
	File string   `yaml:"-"` // relative to the project's folder
	Dir  string   `yaml:"-"` // absolute; relative paths in the recipe start here

	Description string            `yaml:"description" doc:"What the image is for."`
	Version     string            `yaml:"version" doc:"Version of the builds; by default the time of the bake, 20261121.101500."`
	Variables   map[string]string `yaml:"variables" null:"true" doc:"Packer's user variables, for {{user}}, with their defaults."`
	// SensitiveVariables are names of Variables whose values are never shown.
	SensitiveVariables []string `yaml:"sensitive_variables" doc:"Names of variables whose values never reach any output."`

	// Where it starts from: one of the three.
	SourceImage     string     `yaml:"source_image" ref:"image" doc:"Another recipe of this project, whose current build this one starts from."`
	SourceAMI       string     `yaml:"source_ami" architectures:"true" doc:"ID of the AMI to start from, or resolve:ssm:NAME for the one that an SSM parameter holds; or one for each of architectures."`
	SourceAMIFilter *AMIFilter `yaml:"source_ami_filter" doc:"How to find the AMI to start from."`

	Architectures []string `yaml:"architectures" enum:"x86_64,arm64" doc:"The architectures of a build, the main one first: it has an AMI for each, and counts when all are there."`
	// Architecture is the one that this image is for; empty where the source image
	// decides.
	Architecture string `yaml:"-"`
	// ByArchitecture are the texts of keys that have one for each architecture, by
	// key and architecture.
	ByArchitecture map[string]map[string]string `yaml:"-" json:"-"`

	AMIName        string            `yaml:"ami_name" doc:"Name of the AMI; by default PROJECT/IMAGE/VERSION-FINGERPRINT."`
	AMIDescription string            `yaml:"ami_description" doc:"Description of the AMI."`
	Tags           map[string]string `yaml:"tags" tags:"true" doc:"Tags of the AMI and its snapshots."`
	RunTags        map[string]string `yaml:"run_tags" tags:"true" doc:"Tags of the builder instance."`
	RunVolumeTags  map[string]string `yaml:"run_volume_tags" tags:"true" doc:"Tags of the builder's volumes."`
	SnapshotTags   map[string]string `yaml:"snapshot_tags" tags:"true" doc:"Tags of the snapshots."`

	InstanceType             string   `yaml:"instance_type" architectures:"true" doc:"Type of the builder instance, or one for each of architectures." default:"t3.micro, t4g.micro for arm64"`
	Region                   string   `yaml:"region" doc:"Packer's key; must be the region of the environment that bakes."`
	AvailabilityZone         string   `yaml:"availability_zone" doc:"Zone of the builder."`
	SubnetID                 string   `yaml:"subnet_id" doc:"Subnet of the builder; by default one of the default VPC's."`
	VpcID                    string   `yaml:"vpc_id" doc:"VPC of the temporary security group."`
	SecurityGroupID          string   `yaml:"security_group_id" doc:"Security group of the builder in place of a temporary one."`
	SecurityGroupIDs         []string `yaml:"security_group_ids" doc:"Security groups of the builder in place of a temporary one."`
	SourceCIDRs              []string `yaml:"temporary_security_group_source_cidrs" doc:"Who may reach the temporary security group."`
	AssociatePublicIPAddress *bool    `yaml:"associate_public_ip_address" doc:"Whether the builder gets a public address."`
	IAMInstanceProfile       string   `yaml:"iam_instance_profile" doc:"Instance profile of the builder."`
	UserData                 string   `yaml:"user_data" doc:"User data of the builder, beside what pins its host key."`
	UserDataFile             string   `yaml:"user_data_file" doc:"File with the builder's user data."`
	EbsOptimized             bool     `yaml:"ebs_optimized" doc:"Whether the builder is EBS optimised."`
	EncryptBoot              *bool    `yaml:"encrypt_boot" doc:"Whether the root volume is encrypted; by default it is, unless an AMI under AWS's own key is to be shared, which cannot be."`
	KmsKeyID                 string   `yaml:"kms_key_id" doc:"Key of the encryption."`
	ShutdownBehavior         string   `yaml:"shutdown_behavior" enum:"stop,terminate" doc:"What the builder does when it is shut down from within." default:"terminate"`

	LaunchBlockDeviceMappings []BlockDevice `yaml:"launch_block_device_mappings" doc:"Volumes of the builder."`
	AMIBlockDeviceMappings    []BlockDevice `yaml:"ami_block_device_mappings" doc:"Volumes of the AMI."`

	Communicator          string   `yaml:"communicator" enum:"ssh,winrm" doc:"How the builder is reached." default:"ssh"`
	SSHUsername           string   `yaml:"ssh_username" doc:"The user to log in as."`
	SSHHost               string   `yaml:"ssh_host" doc:"Where the builder is reached, in place of its own address."`
	SSHPort               int      `yaml:"ssh_port" doc:"Port of SSH." default:"22"`
	SSHHostPublicKey      string   `yaml:"ssh_host_public_key" doc:"The host key to expect (OpenSSH form), in place of one made for this bake."`
	SSHPrivateKeyFile     string   `yaml:"ssh_private_key_file" doc:"Private key in place of a temporary one."`
	SSHKeypairName        string   `yaml:"ssh_keypair_name" doc:"EC2 key pair that goes with ssh_private_key_file."`
	SSHInterface          string   `yaml:"ssh_interface" enum:"public_ip,private_ip,public_dns,private_dns" doc:"Which of the builder's addresses to use."`
	SSHTimeout            Duration `yaml:"ssh_timeout" doc:"How long SSH may take to answer." default:"5m"`
	SSHPty                bool     `yaml:"ssh_pty" doc:"Whether commands get a terminal."`
	TemporaryKeyPairType  string   `yaml:"temporary_key_pair_type" enum:"rsa,ed25519" doc:"Type of the temporary key pair." default:"ed25519"`
	PauseBeforeConnecting Duration `yaml:"pause_before_connecting" doc:"Time between SSH answering and its use."`
	SelfDestruct          Duration `yaml:"self_destruct" doc:"Time after which a builder that nobody removed shuts itself down." default:"2h"`
	ForceDeregister       bool     `yaml:"force_deregister" doc:"Deregister an AMI of the same name first."`
	ForceDeleteSnapshot   bool     `yaml:"force_delete_snapshot" doc:"Delete that AMI's snapshots too."`
	EnaSupport            *bool    `yaml:"ena_support" doc:"Whether the AMI supports enhanced networking; by default as the source image."`
	ImdsSupport           string   `yaml:"imds_support" enum:"v2.0" doc:"Metadata version that instances of the AMI require." default:"v2.0"`

	Publication `yaml:",inline"`
	Placing     `yaml:",inline"`
	Bastion     `yaml:",inline"`
	Speed       `yaml:",inline"`
	WinRM       `yaml:",inline"`

	Tests        *Tests         `yaml:"tests" doc:"What an AMI must pass before it counts as a build."`
	Provisioners []*Provisioner `yaml:"-"`
	positions    map[string]diag.Pos

	// PostProcessors are chains: each begins with the build.
	PostProcessors [][]*PostProcessor `yaml:"-"`
	// BuildName is what Packer calls the builder that the image comes from; empty
	// for a recipe of Goldline's own form.
	BuildName string `yaml:"-"`

	// Access is how the bake of a template without a project calls AWS; nil where the
	// AWS configuration says it.
	Access *Access `yaml:"-" json:"-"`

	// Secrets are texts that never reach any output, besides the values of
	// SensitiveVariables.
	Secrets []string `yaml:"-" json:"-"`
	// Lasting is the same image as it would be at any other time, where the
	// template's language itself gives the time or a random value; nil where the
	// image is that.
	Lasting *Image `yaml:"-" json:"-"`
}

// SecretValues are all texts of the image that never reach any output.
func (i *Image) SecretValues() []string {
	all := slices.Clone(i.Secrets)
	for _, name := range i.SensitiveVariables {
		if value := i.Variables[name]; value != "" {
			all = append(all, value)
		}
	}
	return all
}

// At is the position of a field of the recipe, as Resource.At.
func (i *Image) At(path string) diag.Pos {
	r := Resource{Pos: i.Pos, positions: i.positions}
	return r.At(path)
}

// AMIFilter is Packer's source_ami_filter.
type AMIFilter struct {
	Filters    map[string]string `yaml:"filters" doc:"EC2 DescribeImages filters."`
	Owners     []string          `yaml:"owners" required:"true" doc:"Accounts or aliases that own the AMI."`
	MostRecent bool              `yaml:"most_recent" doc:"Take the newest of several."`
	Deprecated bool              `yaml:"include_deprecated" doc:"Take deprecated AMIs into account."`
}

// BlockDevice is Packer's block device mapping.
type BlockDevice struct {
	DeviceName          string `yaml:"device_name" required:"true" doc:"Name of the device: /dev/sda1."`
	VolumeType          string `yaml:"volume_type" enum:"gp2,gp3,io1,io2,st1,sc1,standard" doc:"Type of the volume."`
	VolumeSize          int    `yaml:"volume_size" doc:"Size in GiB."`
	IOPS                int    `yaml:"iops" doc:"Input and output operations a second."`
	Throughput          int    `yaml:"throughput" doc:"Throughput in MiB/s."`
	Encrypted           *bool  `yaml:"encrypted" doc:"Whether it is encrypted."`
	KmsKeyID            string `yaml:"kms_key_id" doc:"Key of the encryption."`
	SnapshotID          string `yaml:"snapshot_id" doc:"Snapshot that it starts from."`
	DeleteOnTermination bool   `yaml:"delete_on_termination" doc:"Whether it goes with its instance."`
	NoDevice            bool   `yaml:"no_device" doc:"Leave this device of the source out."`
	VirtualName         string `yaml:"virtual_name" doc:"Instance store: ephemeral0."`
}

// Provisioner is one step of a recipe.
type Provisioner struct {
	Type string
	Pos  diag.Pos
	// Options is a pointer to the struct of the kind's New.
	Options     any
	PauseBefore Duration // pause_before
	MaxRetries  int      // max_retries
	Timeout     Duration // timeout; 0 is none
	Only        []string // only: names of images
	Except      []string // except
	Cache       *bool    // cache; nil where the time that it takes decides
	positions   map[string]diag.Pos
}

// At is the position of a field of the provisioner.
func (p *Provisioner) At(path string) diag.Pos {
	r := Resource{Pos: p.Pos, positions: p.positions}
	return r.At(path)
}

// Pipeline is pipelines/<name>.yaml.
type Pipeline struct {
	Name        string            `yaml:"-"`
	Pos         diag.Pos          `yaml:"-"`
	Description string            `yaml:"description" doc:"What the pipeline is for."`
	Vars        map[string]string `yaml:"vars" doc:"Values for ${var.NAME}; --var wins."`
	Stages      []*Stage          `yaml:"stages" required:"true" doc:"The steps."`
}

// Stage is one step of a pipeline. Exactly one of the pointers is set.
type Stage struct {
	Name    string            `yaml:"name" required:"true" doc:"Name of the stage."`
	Pos     diag.Pos          `yaml:"-"`
	Needs   []string          `yaml:"needs" doc:"Stages that come first; where both sides go over images, image by image."`
	Timeout Duration          `yaml:"timeout" doc:"Time that the stage may take."`
	Retry   int               `yaml:"retry" doc:"How often the stage is tried again after a failure."`
	Vars    map[string]string `yaml:"vars" doc:"Values for ${var.NAME} in this stage."`

	Bake     *BakeStage     `yaml:"bake" doc:"Bake images."`
	Promote  *PromoteStage  `yaml:"promote" doc:"Make builds current in an environment."`
	Launch   *LaunchStage   `yaml:"launch" doc:"Launch an environment's topology."`
	Destroy  *DestroyStage  `yaml:"destroy" doc:"Destroy an environment's topology."`
	Rollback *RollbackStage `yaml:"rollback" doc:"Make the previous builds current again and launch."`
	Run      *RunStage      `yaml:"run" doc:"Run a local command."`
	Check    *CheckStage    `yaml:"check" doc:"Check what was launched."`
	Approval *ApprovalStage `yaml:"approval" doc:"Go on when the builds are approved for an environment."`
}

// Names is a list of images: a list, one name, or "all".
type Names struct {
	All   bool
	Names []string
	Pos   diag.Pos
}

// BakeStage bakes images.
type BakeStage struct {
	Images Names `yaml:"images" required:"true" short:"true" doc:"Images to bake: a list, or all."`
	Rebake bool  `yaml:"rebake" doc:"Bake even where an unchanged build exists."`
}

// PromoteStage promotes the builds that this run baked, or those that are
// current one rung below.
type PromoteStage struct {
	Images Names  `yaml:"images" required:"true" doc:"Images to promote: a list, or all."`
	To     string `yaml:"to" required:"true" doc:"The environment."`
}

// LaunchStage launches an environment.
type LaunchStage struct {
	Environment string   `yaml:"environment" required:"true" short:"true" doc:"The environment."`
	Rollout     *Rollout `yaml:"rollout" doc:"How instances take up a new build, whatever their definitions say."`
}

// DestroyStage destroys an environment.
type DestroyStage struct {
	Environment string `yaml:"environment" required:"true" short:"true" doc:"The environment."`
}

// RollbackStage rolls images back in an environment.
type RollbackStage struct {
	Images      Names    `yaml:"images" required:"true" doc:"Images to roll back."`
	Environment string   `yaml:"environment" required:"true" doc:"The environment."`
	Rollout     *Rollout `yaml:"rollout" doc:"How instances take up the build, whatever their definitions say."`
}

// RunStage runs a local command in the project's folder with the run's
// results in its environment.
type RunStage struct {
	Command     []string          `yaml:"command" required:"true" short:"true" shell:"true" doc:"The command: a list of arguments, or one line for the shell."`
	Environment map[string]string `yaml:"env" doc:"More environment variables."`
}

// CheckStage waits until what was launched is as it should be.
type CheckStage struct {
	Environment string     `yaml:"environment" required:"true" doc:"The environment."`
	Images      Names      `yaml:"images" doc:"Only instances of these images." default:"all"`
	Console     string     `yaml:"console" doc:"Regular expression of a line that every instance must print on its console since it booted; ${...} of the instance allowed."`
	HTTP        *HTTPCheck `yaml:"http" doc:"HTTP probe of every instance."`
	Command     []string   `yaml:"command" shell:"true" doc:"Local command that must exit 0: a list of arguments, or one line for the shell."`
	Deadline    Duration   `yaml:"deadline" doc:"How long it may take." default:"2m"`
	Interval    Duration   `yaml:"interval" doc:"Time between two tries." default:"250ms"`
}

// ApprovalStage goes on when builds are approved for an environment, as its
// requires say.
type ApprovalStage struct {
	Environment string   `yaml:"environment" required:"true" short:"true" doc:"The environment that the builds go to."`
	Images      Names    `yaml:"images" doc:"Only builds of these images." default:"all"`
	Wait        Duration `yaml:"wait" doc:"How long to wait for it; after that, or at once without it, the run ends with code 5, and run --resume goes on."`
}

// HTTPCheck is a probe that must answer.
type HTTPCheck struct {
	Port     int    `yaml:"port" min:"1" max:"65535" doc:"Port of the instance." default:"80"`
	Path     string `yaml:"path" pattern:"^(/|\\$)" form:"a path that begins with /" doc:"Path of the URL." default:"/"`
	Status   int    `yaml:"status" min:"100" max:"599" doc:"Status that must come back." default:"200"`
	Contains string `yaml:"contains" doc:"Text that the body must hold."`
}
