package launch

type instanceSpec struct {
	Image                    string           `yaml:"image" ref:"image" change:"replaces" doc:"The image whose build is current in the environment."`
	AMI                      string           `yaml:"ami" pattern:"^(ami-[0-9a-f]+|\\$\\{.*)$" change:"replaces" doc:"ID of the AMI, in place of an image."`
	InstanceType             string           `yaml:"instance_type" required:"true" doc:"Type of the instance: t3.micro. For another one it is stopped and started, where EC2 can; for one of another architecture, or where a rollout holds, it is replaced."`
	Subnet                   string           `yaml:"subnet" ref:"subnet" change:"replaces" doc:"The subnet that the instance lies in; by default one of the default VPC's."`
	SecurityGroups           []string         `yaml:"security_groups" ref:"security_group" doc:"The groups that the instance is a member of; by default that of its VPC."`
	PrivateIP                string           `yaml:"private_ip" change:"replaces" doc:"Its private address; by default a free one of the subnet."`
	SecondaryIPs             []string         `yaml:"secondary_private_ips" doc:"The other private addresses of its own interface, all of them; where neither this nor their number is given they are left as they are. A successor takes them over, with the elastic IP addresses at them, when it answers its status checks."`
	SecondaryCount           *int             `yaml:"secondary_private_ip_count" min:"0" max:"49" doc:"How many other private addresses its own interface has, whichever are free, in place of a list. A successor takes over those that there are."`
	AssociatePublicIPAddress *bool            `yaml:"associate_public_ip_address" change:"replaces" doc:"Whether it gets a public address; by default what the subnet says."`
	ElasticIP                string           `yaml:"elastic_ip" ref:"elastic_ip" doc:"The elastic_ip that it has, or an address that the account holds: 203.0.113.7. A successor takes it over as soon as it runs; where it should answer its status checks before, say instance in the elastic_ip."`
	Domain                   []string         `yaml:"domain" doc:"Names that lead to the instance, one or a list: an A record of each in that zone of the topology which holds it, of two the longer one. In a private zone it leads to the private address; in a public one to the instance's elastic IP, if it has one. A successor takes the names over."`
	SourceDestCheck          *bool            `yaml:"source_dest_check" doc:"Whether traffic must be from or to the instance itself." default:"true"`
	KeyName                  string           `yaml:"key_name" alias:"keypair" change:"replaces" doc:"EC2 key pair for logging in."`
	KeyPair                  string           `yaml:"key_pair" ref:"key_pair" attribute:"key_name" doc:"The key pair for logging in, where the topology defines it. The instance keeps the key that it was launched with."`
	IAMInstanceProfile       string           `yaml:"iam_instance_profile" alias:"instance_profile_name" doc:"Name of the instance profile. Another one takes its place while the instance runs."`
	UserData                 *userDataSpec    `yaml:"user_data" change:"replaces" doc:"What the instance is told beside its own name and place."`
	TargetGroups             []string         `yaml:"target_groups" ref:"target_group" doc:"The target groups that it is in. A successor is healthy in them before its predecessor leaves, and that one's connections end before it does."`
	Volumes                  []attachmentSpec `yaml:"volumes" doc:"Volumes that are attached to it. They move to its successor with their contents."`
	NetworkInterfaces        []interfaceSpec  `yaml:"network_interfaces" doc:"Network interfaces that it has beside its own. They are attached while it runs, and move to its successor with their addresses."`
	RootBlockDevice          *rootSpec        `yaml:"root_block_device" change:"replaces" doc:"The root volume; by default as the image has it."`
	MetadataOptions          *metadataSpec    `yaml:"metadata_options" doc:"How the instance reads its metadata."`
	Monitoring               *bool            `yaml:"monitoring" doc:"Whether CloudWatch looks at it every minute." default:"false"`
	EBSOptimized             *bool            `yaml:"ebs_optimized" doc:"Whether it is EBS optimised. For a change it is stopped and started."`
	DisableAPITermination    *bool            `yaml:"disable_api_termination" doc:"Whether EC2 refuses to terminate it." default:"false"`
	ShutdownBehavior         string           `yaml:"instance_initiated_shutdown_behavior" enum:"stop,terminate" doc:"What becomes of it when it shuts itself down." default:"stop"`
	Tenancy                  string           `yaml:"tenancy" enum:"default,dedicated,host" change:"replaces" doc:"Whether other customers' instances share its hardware." default:"default"`
}

type userDataSpec struct {
	Extra map[string]any `yaml:"extra" doc:"Any values, with references such as ${volume.data.id}."`
}

type attachmentSpec struct {
	Volume string `yaml:"volume" ref:"volume" required:"true" doc:"The volume."`
	Device string `yaml:"device" required:"true" doc:"The device that it is attached as: /dev/sdf."`
}

type rootSpec struct {
	Size       int    `yaml:"size" min:"1" doc:"Size in GiB; by default the image's."`
	VolumeType string `yaml:"volume_type" enum:"gp2,gp3,io1,io2,st1,sc1,standard" doc:"Type of the volume."`
	IOPS       int    `yaml:"iops" doc:"Input and output operations a second."`
	Throughput int    `yaml:"throughput" doc:"Throughput in MiB/s, with gp3."`
	Encrypted  *bool  `yaml:"encrypted" doc:"Whether it is encrypted."`
	KmsKeyID   string `yaml:"kms_key_id" doc:"Key of the encryption."`
}

type metadataSpec struct {
	HTTPTokens              string `yaml:"http_tokens" enum:"required,optional" doc:"Whether only IMDSv2 answers." default:"required"`
	HTTPPutResponseHopLimit int    `yaml:"http_put_response_hop_limit" min:"1" max:"64" doc:"How many hops a token may travel: 2 for containers." default:"1"`
	InstanceMetadataTags    string `yaml:"instance_metadata_tags" enum:"enabled,disabled" doc:"Whether the instance can read its tags there." default:"disabled, enabled with count"`
}
