// The signer's time zone goes into the evidence of the signature; without JavaScript it stays empty.
document.querySelector("input[name=time_zone]").value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
