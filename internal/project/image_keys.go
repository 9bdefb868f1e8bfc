package project

// Publication says what becomes of an AMI once it is there: where it is copied
// to, who may use it, until when.
type Publication struct {
	AMIRegions       []string          `yaml:"ami_regions" doc:"Regions that the AMI is copied to, tags and all."`
	RegionKmsKeyIDs  map[string]string `yaml:"region_kms_key_ids" doc:"Key of the encryption in each of ami_regions."`
	CopyMinutes      int               `yaml:"snapshot_copy_duration_minutes" min:"0" doc:"Time-based copies to ami_regions: within so many minutes."`
	AMIUsers         []string          `yaml:"ami_users" doc:"Accounts that may launch the AMI."`
	AMIGroups        []string          `yaml:"ami_groups" enum:"all" doc:"all makes the AMI public."`
	AMIOrgARNs       []string          `yaml:"ami_org_arns" doc:"Organizations that may launch the AMI."`
	AMIOUARNs        []string          `yaml:"ami_ou_arns" doc:"Organizational units that may launch the AMI."`
	SnapshotUsers    []string          `yaml:"snapshot_users" doc:"Accounts that may make volumes of the snapshots."`
	SnapshotGroups   []string          `yaml:"snapshot_groups" enum:"all" doc:"all makes the snapshots public."`
	DeprecateAt      string            `yaml:"deprecate_at" doc:"Time (RFC 3339) from which the AMI is deprecated."`
	DeregistrationOn *Protection       `yaml:"deregistration_protection" doc:"Protection of the AMI from being deregistered."`
}

// Protection is Packer's deregistration_protection.
type Protection struct {
	Enabled      bool `yaml:"enabled" doc:"Whether the AMI is protected."`
	WithCooldown bool `yaml:"with_cooldown" doc:"Whether it stays so for 24 hours after it was lifted."`
}

// Placing says what the builder runs on, and where, besides the plain keys.
type Placing struct {
	VPCFilter           *Filter          `yaml:"vpc_filter" doc:"How to find the VPC; exactly one must match."`
	SubnetFilter        *SubnetFilter    `yaml:"subnet_filter" doc:"How to find the subnet."`
	SecurityGroupFilter *Filter          `yaml:"security_group_filter" doc:"How to find the builder's security groups; all that match are taken."`
	SpotPrice           string           `yaml:"spot_price" doc:"auto, or the most to pay an hour, for a spot instance. With auto an on-demand instance is taken where there is no spot capacity."`
	SpotInstanceTypes   []string         `yaml:"spot_instance_types" doc:"Instance types for a spot instance, tried in their order, in place of instance_type."`
	SpotTags            tagsOf           `yaml:"spot_tags" tags:"true" doc:"Tags of the spot request."`
	Tenancy             string           `yaml:"tenancy" enum:"default,dedicated,host" doc:"Tenancy of the builder."`
	MetadataOptions     *MetadataOptions `yaml:"metadata_options" doc:"Metadata service of the builder; by default IMDSv2 alone, one hop."`
	UnlimitedCredits    bool             `yaml:"enable_unlimited_credits" doc:"Unlimited CPU credits for a burstable builder."`
	UnlimitedT2         bool             `yaml:"enable_t2_unlimited" doc:"An older name of enable_unlimited_credits."`
	SriovSupport        bool             `yaml:"sriov_support" doc:"Mark the AMI as one with SR-IOV networking."`
	BootMode            string           `yaml:"boot_mode" enum:"legacy-bios,uefi,uefi-preferred" doc:"Boot mode that the AMI must have: the source image's, or uefi where that is uefi-preferred."`
	DisableStopInstance bool             `yaml:"disable_stop_instance" doc:"The provisioners shut the builder down; wait for that in place of stopping it."`
	SkipCreateAMI       bool             `yaml:"skip_create_ami" doc:"Provision, and make no AMI."`
	TemporaryProfile    *PolicyDocument  `yaml:"temporary_iam_instance_profile_policy_document" doc:"Policy of a role and an instance profile that are made for the builder, and removed with it."`
	KeyPairName         string           `yaml:"temporary_key_pair_name" doc:"No effect: the temporary key pair is shared by the bakes of a run, and named after it."`
	AWSPolling          *AWSPolling      `yaml:"aws_polling" doc:"How long waits may take."`
}

// PolicyDocument is what IAM's policy language says, as far as Packer takes it.
type PolicyDocument struct {
	Version   string            `yaml:"Version" json:"Version" doc:"Version of the policy language." default:"2012-10-17"`
	Statement []PolicyStatement `yaml:"Statement" json:"Statement" required:"true" doc:"What is allowed, and what is not."`
}

// PolicyStatement is one statement of a policy.
type PolicyStatement struct {
	Effect   string   `yaml:"Effect" json:"Effect" required:"true" enum:"Allow,Deny" doc:"Whether it allows or denies."`
	Action   []string `yaml:"Action" json:"Action" required:"true" doc:"The actions: s3:GetObject."`
	Resource []string `yaml:"Resource" json:"Resource" required:"true" doc:"ARNs of the resources."`
}

type tagsOf = map[string]string

// Filter is Packer's filter for something in the network.
type Filter struct {
	Filters map[string]string `yaml:"filters" doc:"EC2's filters for it."`
}

// SubnetFilter is Packer's subnet_filter.
type SubnetFilter struct {
	Filters  map[string]string `yaml:"filters" doc:"EC2's filters for it."`
	MostFree bool              `yaml:"most_free" doc:"Take the one with the most free addresses of several."`
	Random   bool              `yaml:"random" doc:"Take any of several."`
}

// MetadataOptions is Packer's metadata_options.
type MetadataOptions struct {
	HTTPEndpoint string `yaml:"http_endpoint" enum:"enabled,disabled" doc:"Whether there is a metadata service."`
	HTTPTokens   string `yaml:"http_tokens" enum:"optional,required" doc:"Whether IMDSv2's tokens are required." default:"required"`
	HopLimit     int    `yaml:"http_put_response_hop_limit" min:"1" max:"64" doc:"Hops that an answer with a token may take." default:"1"`
	InstanceTags string `yaml:"instance_metadata_tags" enum:"enabled,disabled" doc:"Whether the metadata service tells the tags."`
}

// AWSPolling is Packer's aws_polling. The pace of polling is Goldline's own; the
// product of both is the deadline of every wait for AWS.
type AWSPolling struct {
	DelaySeconds int `yaml:"delay_seconds" min:"0" doc:"Seconds between two looks; with max_attempts it gives the deadline." default:"15"`
	MaxAttempts  int `yaml:"max_attempts" min:"0" doc:"Looks; with delay_seconds it gives the deadline."`
}

// Bastion is the host that SSH goes through.
type Bastion struct {
	BastionHost      string `yaml:"ssh_bastion_host" doc:"Host that connections to the builder go through."`
	BastionPort      int    `yaml:"ssh_bastion_port" min:"1" max:"65535" doc:"Its port." default:"22"`
	BastionUsername  string `yaml:"ssh_bastion_username" doc:"The user to log in as there."`
	BastionPassword  string `yaml:"ssh_bastion_password" sensitive:"true" doc:"That user's password."`
	BastionKeyFile   string `yaml:"ssh_bastion_private_key_file" doc:"That user's private key."`
	BastionPublicKey string `yaml:"ssh_bastion_host_public_key" doc:"Its host key (OpenSSH form); by default it must stand in ~/.ssh/known_hosts."`
}
