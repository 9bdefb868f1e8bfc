package project

// WinRM is how a Windows builder is reached.
type WinRM struct {
	WinRMUsername          string   `yaml:"winrm_username" doc:"The user to log in as." default:"Administrator"`
	WinRMPassword          string   `yaml:"winrm_password" sensitive:"true" doc:"That user's password; by default the one that EC2 made for Administrator."`
	WinRMHost              string   `yaml:"winrm_host" doc:"Where the builder is reached, in place of its own address."`
	WinRMPort              int      `yaml:"winrm_port" min:"1" max:"65535" doc:"Port of WinRM; 5986 with winrm_use_ssl." default:"5985"`
	WinRMTimeout           Duration `yaml:"winrm_timeout" doc:"How long WinRM may take to answer." default:"30m"`
	WinRMUseSSL            bool     `yaml:"winrm_use_ssl" doc:"Speak HTTPS."`
	WinRMInsecure          bool     `yaml:"winrm_insecure" doc:"Take any certificate of the builder's."`
	WinRMUseNTLM           bool     `yaml:"winrm_use_ntlm" doc:"Log in by NTLM, not by basic authentication."`
	WindowsPasswordTimeout Duration `yaml:"windows_password_timeout" doc:"How long EC2 may take to know the password." default:"20m"`
}
