package project

// Speed says what makes a bake faster and leaves the AMI as it is.
type Speed struct {
	BakeVolume  *BakeVolume `yaml:"bake_volume" doc:"What the builder's root volume is like until its image is made; the AMI's is as it would be without."`
	PreSnapshot bool        `yaml:"pre_snapshot" doc:"Take a snapshot of the root volume before the last provisioner, so that the AMI's own has only the rest to copy."`
	Cache       string      `yaml:"cache" enum:"steps" doc:"steps: images of the builder are kept after provisioners, and the next bake starts after those that are unchanged."`
	CacheAfter  Duration    `yaml:"cache_after" doc:"How long a provisioner must have taken for an image to be kept after it, unless it says so itself." default:"1m"`
	CacheKeep   Duration    `yaml:"cache_keep" doc:"How long such an image is started from, and kept." default:"168h"`
}

// BakeVolume is what the builder's root volume is like during the bake.
type BakeVolume struct {
	VolumeType string `yaml:"volume_type" enum:"gp3,io1,io2" doc:"Type of the volume." default:"gp3"`
	IOPS       int    `yaml:"iops" min:"100" doc:"Input and output operations a second."`
	Throughput int    `yaml:"throughput" min:"125" doc:"Throughput in MiB/s; of gp3 alone."`
}
