package project

// Tests are what an AMI must pass before it counts as a build: an instance is
// booted from it, and looked at.
type Tests struct {
	Environment  string   `yaml:"environment" doc:"Environment whose user data the instance gets; without, it gets none but what pins its host key."`
	Address      string   `yaml:"address" doc:"Definition of the environment whose user data it is; by default the one that runs the image."`
	InstanceType string   `yaml:"instance_type" architectures:"true" doc:"Type of the instance, or one for each of architectures; by default the builder's."`
	Timeout      Duration `yaml:"timeout" doc:"How long each check is tried until it holds." default:"30s"`
	Checks       []Check  `yaml:"checks" required:"true" doc:"What must hold; each has one of command, script, port, file and console."`
}

// Check is one thing that must hold on an instance of an AMI.
type Check struct {
	Name    string   `yaml:"name" doc:"What it is called in reports."`
	Command string   `yaml:"command" doc:"Command that is run on the instance, as ssh_username."`
	Script  string   `yaml:"script" doc:"Script of the project that is run on the instance, as ssh_username."`
	Port    int      `yaml:"port" min:"1" max:"65535" doc:"TCP port that answers from outside; the temporary security group opens it."`
	File    string   `yaml:"file" doc:"Path of a file or folder on the instance."`
	Console string   `yaml:"console" doc:"What the console prints: a text, or a regular expression between slashes."`
	Code    *int     `yaml:"code" min:"0" max:"255" doc:"Exit code of command or script." default:"0"`
	Output  string   `yaml:"output" doc:"What command or script prints: a text that is part of it, or a regular expression between slashes."`
	Exists  *bool    `yaml:"exists" doc:"Whether the file is there." default:"true"`
	Mode    string   `yaml:"mode" doc:"Permissions of the file: \"0644\"."`
	Content string   `yaml:"content" doc:"What the file holds: a text that is part of it, or a regular expression between slashes."`
	Timeout Duration `yaml:"timeout" doc:"How long it is tried until it holds, in place of the tests' own."`
}
