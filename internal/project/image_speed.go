package project

// Speed says what makes a bake faster and leaves the AMI as it is.
type Speed struct {
	BakeVolume  *BakeVolume `yaml:"bake_volume" doc:"What the builder's root volume is like until its image is made; the AMI's is as it would be without."`
	PreSnapshot bool        `yaml:"pre_snapshot" doc:"Take a snapshot of the root volume before the last provisioner, so that the AMI's own has only the rest to copy."`
}

// BakeVolume is what the builder's root volume is like during the bake.
type BakeVolume struct {
	VolumeType string `yaml:"volume_type" enum:"gp3,io1,io2" doc:"Type of the volume." default:"gp3"`
	IOPS       int    `yaml:"iops" min:"100" doc:"Input and output operations a second."`
	Throughput int    `yaml:"throughput" min:"125" doc:"Throughput in MiB/s; of gp3 alone."`
}
